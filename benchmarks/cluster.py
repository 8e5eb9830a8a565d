"""A Ray cluster of several nodes on this machine, with Inkling's application, for tests and benchmarks.

The process that asks for it is no part of the cluster: Ray ends every process that is when the head goes away.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import yaml

from inkling.config import ROOT

STORE = 100 * 2**20  # bytes of a node's object store
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_raylet_start_wait_time_s": "180",  # a busy machine takes half a minute
    "PYTHONPATH": str(ROOT),
    "OPENBLAS_NUM_THREADS": "1",
}


class Cluster:
    """A head and further nodes, and the application on them.

    Attributes:
        address: of the head.
    """

    def __init__(self, nodes: int, cpus: int = 2, port: int | None = None):
        os.environ.update(ENVIRONMENT)
        from ray.cluster_utils import Cluster as Nodes

        self._cpus = cpus
        self._nodes = Nodes()
        more = {"gcs_server_port": port} if port else {}
        self._head = self._add(dashboard_port=None, include_dashboard=False, **more)
        self._others = [self._add() for _ in range(nodes - 1)]
        self.address = self._nodes.address

    def _add(self, **arguments):
        return self._nodes.add_node(num_cpus=self._cpus, object_store_memory=STORE, **arguments)

    def deploy(self, replicas: int, **environment: str) -> None:
        """Deploys deploy/ray/serve.yaml with a number of replicas, and waits until they run."""
        config = yaml.safe_load((ROOT / "deploy/ray/serve.yaml").read_text())
        (application,) = config["applications"]
        application["deployments"] = [{"name": "Classifier", "num_replicas": replicas, "autoscaling_config": None}]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "serve.yaml")
            file.write_text(yaml.safe_dump(config))
            subprocess.run(
                [Path(sys.executable).with_name("serve"), "run", "--non-blocking", "-a", self.address, file],
                cwd=ROOT,
                env=os.environ | environment,
                check=True,
                timeout=300,
                capture_output=True,
            )
        wait(lambda: len(self.replicas) == replicas)

    @property
    def replicas(self) -> list[int]:
        """The PIDs of the application's replicas."""
        return [pid for pid, title in _processes() if title.startswith("ray::ServeReplica:inkling:Classifier")]

    @property
    def system(self) -> set[int]:
        """The PIDs of Ray's own processes that the nodes started."""
        kinds = [kind for node in [self._head, *self._others] for kind in node.all_processes.values()]
        return {started.process.pid for kind in kinds for started in kind}

    def kill_replica(self) -> None:
        """Kills one replica."""
        os.kill(self.replicas[0], signal.SIGKILL)

    def remove_node(self) -> None:
        """Kills the newest node."""
        self._nodes.remove_node(self._others.pop(), allow_graceful=False)

    def kill_head(self) -> None:
        """Kills the process that knows the cluster."""
        self._head.kill_gcs_server(check_alive=False)

    def stop(self) -> None:
        self._nodes.shutdown()


def wait(condition: Callable[[], object], seconds: float = 120) -> None:
    """Waits until a condition holds.

    Raises:
        TimeoutError: it does not.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"the cluster is not ready after {seconds} s")
        time.sleep(0.1)


def _processes() -> Iterator[tuple[int, str]]:
    """The PID and the title of each process."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            yield int(folder.name), (folder / "cmdline").read_text()


@contextmanager
def cluster(nodes: int, cpus: int = 2, port: int | None = None) -> Iterator[Cluster]:
    """A cluster that is stopped at the end."""
    made = Cluster(nodes, cpus, port)
    try:
        yield made
    finally:
        made.stop()
