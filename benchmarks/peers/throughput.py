"""Inkling with OpenVINO's threads optimized for throughput."""

from inkling.recognition.runtimes import openvino

openvino.HINT = "THROUGHPUT"

from app import app  # noqa: E402, F401
