"""Inkling, but that OpenVINO arranges its threads for throughput."""

from inkling import runtime

runtime.HINT = "THROUGHPUT"

from app import app  # noqa: E402, F401
