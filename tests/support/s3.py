"""A real object store for tests: OpenStack Swift, whose S3 API checks signatures.

`tests/support/swift_server.py` starts it; each process that runs tests has one of its own.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import boto3
import pytest
from botocore.config import Config

from inkling.config import ROOT

PYTHON = ROOT / ".venv-swift" / "bin" / "python"
USER, SECRET, BUCKET = "test:tester", "only-for-tests", "pictures"


class Store(NamedTuple):
    """A running object store."""

    endpoint: str
    process: subprocess.Popen

    @property
    def environment(self) -> dict[str, str]:
        """The variables from which boto3 knows it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": USER,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_EC2_METADATA_DISABLED": "true",  # nothing else is asked for keys
        }


@contextmanager
def running(address: str = "127.0.0.1") -> Iterator[Store]:
    """Starts an object store with an empty bucket at an address of this machine, and ends it."""
    if not PYTHON.exists():
        missing = "Swift is not installed: run `make .venv-swift/done`"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    with tempfile.TemporaryDirectory(prefix="inkling-swift-") as folder:
        script = str(Path(__file__).with_name("swift_server.py"))
        command = [str(PYTHON), "-W", "ignore", script, folder, USER, SECRET, "0", address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout
                store = Store(f"http://{address}:{int(process.stdout.readline())}", process)
                client(store).create_bucket(Bucket=BUCKET)
                yield store
            finally:
                process.kill()


def client(store: Store):
    """A client of boto3, independent of Inkling's."""
    return boto3.client(
        "s3",
        endpoint_url=store.endpoint,
        aws_access_key_id=USER,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )
