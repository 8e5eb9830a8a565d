"""Inkling's gunicorn settings without its hooks."""

import runpy

NAMES = (
    "bind",
    "workers",
    "worker_class",
    "threads",
    "timeout",
    "graceful_timeout",
    "worker_tmp_dir",
    "keepalive",
    "max_requests",
    "max_requests_jitter",
    "control_socket_disable",
)
globals().update({name: value for name, value in runpy.run_path("gunicorn.conf.py").items() if name in NAMES})
