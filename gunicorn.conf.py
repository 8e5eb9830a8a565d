"""gunicorn's settings, for `inkling serve` and `python -m gunicorn app:app`."""

import ctypes
import gc
import importlib
import logging
import os
import resource
import shutil
import socket
import tempfile
from contextlib import suppress

from gunicorn import glogging

from inkling.config import BadSetting, Settings
from inkling.recognition.runtimes import openvino
from inkling.web.edge import logs

try:
    # Here, before workers would try again and again.
    settings = Settings.from_env()
except BadSetting as error:
    raise SystemExit(f"Inkling did not start. {error}") from None

SHARED = "/dev/shm" if os.path.isdir("/dev/shm") else None  # memory that looks like a folder

bind = settings.bind
workers = settings.workers
# The app divides the cores among its workers.
raw_env = [f"WEB_CONCURRENCY={workers}"]
# Nobody steers a running server: no control socket in the home folder.
control_socket_disable = True
worker_class = "gthread"
# As many as the gate lets in, and some for pages, health and those that are told `busy`.
threads = settings.concurrent + settings.queue + 6
# Models are opened after the fork, by each worker: their threads would not survive one.
preload_app = False
# These are loaded before, with OpenVINO: 35 MB that a worker shares with the others, and starts the sooner.
LIBRARIES = ("cv2", "flask", "flask_babel", "limits", "pydantic", "sqlalchemy.orm")
timeout = 30
# At its end an upload under way may arrive, and is answered.
graceful_timeout = settings.body_seconds + settings.request_seconds + 6
# What little a worker may leak ends with it; not all at once. It answers what it has, while the others go on.
max_requests, max_requests_jitter = 50_000, 5_000
# A heartbeat on a slow disk would make gunicorn kill a healthy worker.
worker_tmp_dir = SHARED
# inkling/web/proxies.py believes them, and nobody else does.
forwarded_allow_ips = ""
logconfig_dict = logs.CONFIG


class Log(glogging.Logger):
    """gunicorn's, which would put a line together of each request that nobody writes: the app logs its own."""

    def access(self, *_):
        pass


logger_class = Log

# Each file that is sent may hold a descriptor until its request ends.
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (_hard, _hard))


def on_starting(_server):
    """Makes an empty folder in which the workers count, and loads what they share."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="inkling-metrics-", dir=SHARED)
    for library in LIBRARIES:
        importlib.import_module(library)
    if settings.runtime == "openvino":
        openvino.library()
    gc.freeze()  # or a look for garbage would write to all of it, and nothing be shared any longer


def on_exit(_server):
    """Removes that folder."""
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)


def pre_fork(server, worker):
    """Gives a worker the lowest number that is free: its files go on where a dead worker's end, so none pile up."""
    taken = {other.number for other in server.WORKERS.values()}
    worker.number = next(number for number in range(len(taken) + 1) if number not in taken)


READ = 2**16  # bytes of a body, as the app asks for them: what gunicorn reads beyond is copied again at every read


def pre_request(_worker, request):
    """Who does not read the answer holds a thread no longer than who does not send the body: then the kernel gives up.

    Not by `settimeout`, after which gunicorn waits for two seconds for such a client to close, and takes no other.
    """
    with suppress(AttributeError, OSError):  # it is Linux's, and TCP's
        request.unreader.max_body_chunk = READ
        request.unreader.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, settings.body_seconds * 1000)


M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # of mallopt(3)
LARGE_BLOCK = 8 * 2**20  # bytes


def glibc(function, *arguments):
    """Calls a function of the GNU C library, which others lack."""
    with suppress(AttributeError):
        getattr(ctypes.CDLL(None), function)(*arguments)


def post_fork(_server, worker):
    """Makes the worker count in files of its number, and give large blocks of memory back as soon as they are free.

    By itself, glibc comes to keep blocks of up to 32 MB, in each thread: 20 clients that send 22 MB of text each left a
    worker at 835 MB, and so at 305. One heap for all threads saves 15 MB more, and the processor's caches know it.
    """
    import cv2
    from prometheus_client import values

    glibc("mallopt", M_MMAP_THRESHOLD, LARGE_BLOCK)
    glibc("mallopt", M_ARENA_MAX, 1)
    cv2.setNumThreads(1)  # requests at once keep the cores busy
    values.ValueClass = values.MultiProcessValue(lambda: worker.number)
    logging.captureWarnings(True)


def post_worker_init(worker):
    """Opens the models before the first request; in the background, what is kept is pruned."""
    from inkling.web.edge import metrics

    inkling = worker.app.wsgi().extensions["inkling"]
    inkling.classifier.warm()
    glibc("malloc_trim", 0)  # what compiling took
    metrics.models(inkling.classifier.catalog.serving)
    inkling.housekeeper.start(after=lambda: metrics.saving(inkling.store.problem is None))


def child_exit(_server, worker):
    """Forgets what only a living worker has."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.number)
