"""A Ray cluster of two nodes on this machine, and predictors that ask it.

`make test-fleet` runs these tests in an environment of their own, without tests/conftest.py, which needs packages that
are not there.
"""

import os

import pytest

pytest.importorskip("ray", reason="Ray is not installed: make test-fleet")

from benchmarks.cluster import cluster
from benchmarks.servers import free_port
from inkling.config import Settings
from inkling.recognition import ray
from inkling.service import open_predictor
from tests.support import s3

SECONDS = 300  # after which a test counts as hanging, on a slow and busy machine
REPLICAS = 2
EXACT = {"INKLING_PRECISION": "f32"}  # answers that can be compared, whatever is asked together
HEAD_AWAY = {"RAY_gcs_rpc_server_reconnect_timeout_s": "3"}  # after which Ray ends a process that uses it


def pytest_configure(config):
    config.addinivalue_line("markers", "fleet: the tests in tests/fleet")


def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker("fleet")
        item.add_marker(pytest.mark.timeout(SECONDS))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Fails a skipped test in CI, where nothing that they need may be missing."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true":
        report.outcome, report.longrepr = "failed", f"skipped in CI: {report.longrepr[2]}"
    return report


class Fleet:
    """Two nodes and two replicas, started again when a test has damaged them.

    Attributes:
        port: of the head, which stays the same.
    """

    def __init__(self):
        self.port = free_port()
        self._running = None
        self.cluster = None

    def start(self):
        """Starts the cluster, unless it runs undamaged."""
        if self.cluster is None:
            self._running = cluster(2, port=self.port)
            self.cluster = self._running.__enter__()
            self.cluster.deploy(REPLICAS)

    def stop(self):
        if self.cluster:
            self._running.__exit__(None, None, None)
            self.cluster = None


@pytest.fixture(scope="session")
def store():
    """An S3 store, which the nodes know by the usual variables."""
    with s3.running() as store:
        os.environ.update(store.environment)
        yield store


@pytest.fixture(scope="session")
def fleet(store):
    os.environ.update(EXACT)  # for the nodes
    fleet = Fleet()
    fleet.start()
    yield fleet
    fleet.stop()


@pytest.fixture(scope="session")
def local():
    """What computes in this process."""
    return open_predictor(Settings.from_env(EXACT))


@pytest.fixture
def predictor(fleet, monkeypatch):
    """What asks the cluster, and is connected."""
    for name, value in HEAD_AWAY.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(ray, "CONNECT_SECONDS", 120)
    monkeypatch.setattr(ray, "RESTART_SECONDS", 1)
    address = fleet.cluster.address
    asking = {"INKLING_ENGINE": "ray", "INKLING_RAY_ADDRESS": address, "INKLING_RAY_SECONDS": "60"}
    return open_predictor(Settings.from_env(EXACT | asking))
