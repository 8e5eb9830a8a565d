"""gunicorn's settings: `gunicorn app:app` reads this file by itself."""

import os

PORT = os.environ.get("PORT")
HOST = os.environ.get("INKLING_HOST") or ("0.0.0.0" if PORT else "127.0.0.1")

bind = f"{HOST}:{PORT or 5000}"
workers = int(os.environ.get("WEB_CONCURRENCY") or os.cpu_count() or 1)
if workers < 1:
    raise SystemExit(f"Inkling did not start. WEB_CONCURRENCY must be a whole number from 1. Received: {workers}")
# The app divides the cores among its workers.
raw_env = [f"WEB_CONCURRENCY={workers}"]
# Nobody steers a running server: no control socket in the home folder.
control_socket_disable = True
worker_class = "gthread"
threads = 4
# Models are opened after the fork, by each worker: their threads would not survive one.
preload_app = False
timeout = 30
graceful_timeout = 30
# A heartbeat on a slow disk would make gunicorn kill a healthy worker.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None


def on_starting(_server):
    """Stops the start with one sentence when a setting is wrong, before workers would try again and again."""
    from inkling.settings import BadSetting, Settings

    try:
        Settings.from_env()
    except BadSetting as error:
        raise SystemExit(f"Inkling did not start. {error}") from None


def post_worker_init(worker):
    """Opens the models before the first request, and measures them in the background."""
    inkling = worker.app.wsgi().extensions["inkling"]
    inkling.classifier.warm()
    inkling.stopwatch.start(inkling.classifier)
