"""Inkling, but that OpenVINO arranges its threads for throughput."""

from inkling.recognition import runtimes

runtimes.HINT = "THROUGHPUT"

from app import app  # noqa: E402, F401
