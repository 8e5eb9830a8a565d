"""Inkling's gunicorn settings, with those of its hooks that its workers need."""

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
    "pre_fork",
    "child_exit",
)
globals().update({name: value for name, value in runpy.run_path("gunicorn.conf.py").items() if name in NAMES})
