"""Measures Inkling on a Ray cluster of this machine, and computes from that what fleets carry.

    make fleet                                              # all of it
    .venv-ray/bin/python -m benchmarks.fleet rate hop       # some of it

rate     requests a second of `POST /api/predict` with photos of 640 x 480: local workers and 1, 2 and 4 replicas, in
         turns. All share the cores of this machine, so replicas cannot be faster here: the table shows what Ray costs.
hop      one question at a time to a predictor in this process: the cluster's answer beside the local one, in turns.
folder   `inkling classify` of a folder of photos: Ray Data beside the local pipeline, in turns.
costs    processor time of every process that takes part in `POST /predict`, which keeps its picture: nginx, gunicorn's
         worker, Ray, the replica, PostgreSQL and an S3 store (Swift). It depends little on what else the machine does.
fleets   a discrete-event simulation of 1, 10 and 100 machines with those times: what they carry, and what limits them.
"""

import argparse
import heapq
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from click.testing import CliRunner

from benchmarks import pictures, servers
from benchmarks.cluster import Cluster, cluster
from benchmarks.folder import make, photo
from inkling import bulk, cli
from inkling.config import ROOT, Settings
from inkling.recognition.predictor import prepare
from inkling.service import Service, open_predictor

MODEL = "things"
FORM = pictures.form(pictures.photo(640, 480), "photo.jpg")
ASK = servers.post(f"/api/predict?model={MODEL}", *FORM)
KEEP = servers.post("/predict", *pictures.form(pictures.photo(640, 480), "photo.jpg", model=MODEL))
HOP_MODELS = ("digits-cnn", MODEL)
PARTS = ("rate", "hop", "folder", "costs", "fleets")


def load(port: int, request: bytes, connections: int, seconds: float, status: str = "200") -> list[float]:
    """Loads one server, and returns the milliseconds of each answer.

    Raises:
        RuntimeError: an answer had another status.
    """
    command = [sys.executable, "-m", "benchmarks.client", str(port), str(connections), str(seconds)]
    done = json.loads(subprocess.run(command, input=request, capture_output=True, check=True, cwd=ROOT).stdout)
    if done["statuses"].keys() != {status}:
        raise RuntimeError(f"all answers must have status {status}. Received: {done['statuses']}")
    return done["milliseconds"]


def row(*cells: object) -> None:
    print("|", *(f"{cell} |" for cell in cells), flush=True)


def head(*cells: str) -> None:
    row(*cells)
    row(*["---"] * len(cells))


# ---- rate ----


def on(made: Cluster) -> dict[str, str]:
    """Settings of a server that asks the cluster."""
    return {"INKLING_ENGINE": "ray", "INKLING_RAY_ADDRESS": made.address, "INKLING_RAY_SECONDS": "60"}


def rate(made: Cluster, rounds: int, seconds: float, connections: int) -> None:
    """Prints requests a second and the slowest of a hundred."""
    setups = {f"{workers} local worker{'s' * (workers > 1)}": (workers, 0) for workers in (1, 2)}
    setups |= {f"1 worker, {replicas} replica{'s' * (replicas > 1)}": (1, replicas) for replicas in (1, 2, 4)}
    found: dict[str, list[list[float]]] = {name: [] for name in setups}
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        ports = {}
        for name, (workers, replicas) in setups.items():
            more = on(made) | {"INKLING_CONCURRENT": "8"} if replicas else {}
            started = servers.running(servers.INKLING, Path(scratch, name), ASK, WEB_CONCURRENCY=str(workers), **more)
            ports[name] = stack.enter_context(started).port
        for _ in range(rounds):
            for name, (_, replicas) in setups.items():
                if replicas:
                    made.deploy(replicas)
                    load(ports[name], ASK, connections, 2)  # opens the model in each replica
                found[name].append(load(ports[name], ASK, connections, seconds))
    head("setup", "requests/s", "p50, ms", "p99, ms")
    for name, turns in found.items():
        speed = statistics.median(len(turn) / seconds for turn in turns)
        median, slow = (statistics.median(float(np.percentile(turn, q)) for turn in turns) for q in (50, 99))
        row(name, f"{speed:.0f}", f"{median:.0f}", f"{slow:.0f}")


# ---- hop ----


def hop(made: Cluster, rounds: int) -> None:
    """Prints the time of one question, here and by the cluster."""
    made.deploy(1)
    settings = Settings.from_env({"INKLING_THREADS": "1"})
    local = open_predictor(settings)
    remote = open_predictor(settings.replace(engine="ray", ray_address=made.address, ray_seconds=60))
    head("model", "bytes", "here, ms", "by a replica, ms", "difference, ms")
    for name in HOP_MODELS:
        took: dict[str, list[float]] = {"local": [], "remote": []}
        card = local.catalog.model(name).card
        image = pictures.three() if card.input.kind == "ink" else pictures.scene(640, 480)
        for i in range(20 * rounds + 5):
            for kind, predictor in (("local", local), ("remote", remote)):
                picture = prepare(image, card)
                start = time.perf_counter()
                predictor.answer([picture], predictor.catalog.model(name))
                if i >= 5:
                    took[kind].append((time.perf_counter() - start) * 1e3)
        here, there = statistics.median(took["local"]), statistics.median(took["remote"])
        row(f"`{name}`", f"{picture.seen.nbytes:,}", f"{here:.1f}", f"{there:.1f}", f"{there - here:.1f}")
    if remote.away:  # type: ignore[attr-defined]
        raise RuntimeError(f"the cluster was away: {remote.away}")  # type: ignore[attr-defined]


# ---- folder ----


def folder(made: Cluster, rounds: int, files: int) -> None:
    """Prints pictures a second of a folder."""
    bulk.FILES = 100
    settings = Settings.from_env(dict(os.environ) | {"INKLING_RAY_ADDRESS": made.address})
    with tempfile.TemporaryDirectory() as scratch:
        many, one = (make(Path(scratch, name), count, photo) for name, count in (("many", files), ("one", 1)))
        service = Service.from_settings(settings)
        service.look_ahead([], MODEL)
        took: dict[str, list[float]] = {"local": [], "Ray Data": [], "start": []}
        for turn in range(rounds):
            took["local"].append(seconds_of(locally, service, many, Path(scratch, f"{turn}.csv")))
            for name, source in (("Ray Data", many), ("start", one)):
                took[name].append(seconds_of(by_ray, source, str(Path(scratch, f"{name}-{turn}")), settings))
    local, whole, start = map(statistics.median, took.values())
    head("pipeline", "pictures/s", "seconds")
    row("`inkling classify --csv`", f"{files / local:.0f}", f"{local:.1f}")
    row("`inkling classify --engine ray`", f"{files / whole:.0f}", f"{whole:.1f}")
    row("the same for one picture: the start", "", f"{start:.1f}")


def seconds_of(work: Callable[..., None], *arguments: object) -> float:
    start = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - start


def locally(service: Service, source: Path, table: Path) -> None:
    done = CliRunner().invoke(cli.main, ["classify", str(source), "--model", MODEL, "--csv", str(table)], obj=service)
    if done.exit_code:
        raise RuntimeError(done.output)


def by_ray(source: Path, out: str, settings: Settings) -> None:
    done = bulk.classify([str(source)], MODEL, out, settings)
    if done.counts.failed:
        raise RuntimeError(f"{done.counts.failed} pictures have no answer")


# ---- costs ----


class Costs(NamedTuple):
    """Processor milliseconds of one request, by what takes them."""

    nginx: float
    worker: float
    ray: float
    replica: float
    database: float
    store: float


def below(pid: int) -> set[int]:
    """A process and all that it started."""
    found, new = set(), {pid}
    while new:
        found |= new
        new = {
            int(child)
            for one in new
            for task in Path(f"/proc/{one}/task").glob("*")
            for child in (task / "children").read_text().split()
        } - found
    return found


def used(pids: set[int]) -> float:
    """The processor seconds that the threads of processes have used, to the nanosecond."""
    tasks = [task for pid in pids for task in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


@contextmanager
def nginx(scratch: Path, upstream: int) -> Iterator[tuple[int, int]]:
    """nginx before a server, without TLS; the context is (its port, its PID)."""
    port = servers.free_port()
    names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "".join(f"{name}_temp_path {scratch}/{name};" for name in names)
    (scratch / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {scratch}/pid; error_log {scratch}/error.log; events {{}}\n"
        f"http {{ {places} access_log off; upstream inkling {{ server 127.0.0.1:{upstream}; keepalive 16; }}\n"
        f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_http_version 1.1; proxy_set_header Connection '';"
        "proxy_pass http://inkling; } } }\n"
    )
    with subprocess.Popen(["nginx", "-p", str(scratch), "-c", str(scratch / "nginx.conf")]) as process:
        try:
            yield port, process.pid
        finally:
            process.terminate()


def costs(made: Cluster, seconds: float) -> Costs:
    """Prints and returns the processor time of one kept picture."""
    from tests.support import postgres, s3

    made.deploy(1)
    with tempfile.TemporaryDirectory() as text, ExitStack() as stack:
        scratch = Path(text)
        database = stack.enter_context(postgres.running())
        store = stack.enter_context(s3.running())
        url = stack.enter_context(database.database())
        state = {"INKLING_DATABASE_URL": url, "INKLING_BLOBS": f"s3://{s3.BUCKET}/kept", **store.environment}
        more = on(made) | state | {"WEB_CONCURRENCY": "1", "INKLING_REQUEST_SECONDS": "60"}
        server = stack.enter_context(servers.running(servers.INKLING, scratch / "server", ASK, **more))
        port, proxy = stack.enter_context(nginx(scratch, server.port))
        load(port, KEEP, 2, 3, "303")  # opens connections and models
        (worker,) = server.workers
        postmaster = int((Path(database._folder) / "data" / "postmaster.pid").read_text().split()[0])
        replicas = set(made.replicas)
        groups = {
            "nginx": {proxy},
            "worker": {worker},
            "ray": made.system | (below(worker) - {worker}),
            "replica": replicas,
            "database": below(postmaster),
            "store": below(store.process.pid),
        }
        first = {name: used(pids) for name, pids in groups.items()}
        time.sleep(seconds)  # what they use without requests: Ray's processes watch each other
        idle = {name: (used(pids) - first[name]) / seconds for name, pids in groups.items()}
        before, start = {name: used(pids) for name, pids in groups.items()}, time.perf_counter()
        count = len(load(port, KEEP, 2, 4 * seconds, "303"))
        took = time.perf_counter() - start
        busy = {name: used(pids) - before[name] - took * idle[name] for name, pids in groups.items()}
        found = Costs(**{name: seconds / count * 1e3 for name, seconds in busy.items()})
    head("what", "processor, ms a request", "without requests, ms a second")
    for name, cost in found._asdict().items():
        row(name, f"{cost:.1f}", f"{idle[name] * 1e3:.0f}")
    print(f"\n{count} requests in {4 * seconds:g} s", flush=True)
    return found


# ---- fleets ----


class Station(NamedTuple):
    """Machines that do one step of every request: a request goes to one of them and waits there for a core."""

    name: str
    machines: int
    cores: int
    milliseconds: float


class Outcome(NamedTuple):
    """What a simulation found: the 99th percentile in milliseconds, and the share of time that each station works."""

    slow: float
    busy: dict[str, float]


def simulate(stations: list[Station], speed: float, requests: int, seed: int = 0) -> Outcome:
    """Sends requests that arrive at random through the stations.

    Service times are exponential, which is more irregular than those of one kind of picture. Of two random machines of
    a station, the request takes the one that is free sooner, as Ray and nginx choose.

    Args:
        speed: requests a second.
    """
    rng = np.random.default_rng(seed)
    began = np.cumsum(rng.exponential(1 / speed, requests))
    now, busy = began.tolist(), {}
    for station in stations:
        free = [[0.0] * station.cores for _ in range(station.machines)]
        service = rng.exponential(station.milliseconds / 1e3, requests).tolist()
        choices = rng.integers(0, station.machines, (requests, 2)).tolist()
        for i in np.argsort(now, kind="stable").tolist():
            one, other = choices[i]
            cores = free[one] if free[one][0] <= free[other][0] else free[other]
            now[i] = max(now[i], cores[0]) + service[i]
            heapq.heapreplace(cores, now[i])
        busy[station.name] = sum(service) / (max(now) - began[0]) / (station.machines * station.cores)
    settled = slice(requests // 10, None)
    return Outcome(float(np.percentile((np.array(now) - began)[settled], 99)) * 1e3, busy)


def carried(stations: list[Station], limit: float, requests: int) -> tuple[float, Outcome]:
    """The most requests a second whose 99th percentile stays below the limit, by bisection; and that outcome."""
    low, high = 0.0, min(s.machines * s.cores / s.milliseconds * 1e3 for s in stations)  # no station can do more
    best = simulate(stations, high / 100, requests)
    for _ in range(8):
        middle = (low + high) / 2
        outcome = simulate(stations, middle, requests)
        low, high, best = (middle, high, outcome) if outcome.slow < limit else (low, middle, best)
    return low, best


def fleet(found: Costs, machines: int, cores: int, kept: bool, beside: int) -> list[Station]:
    """The stations of a fleet: servers and replicas share the machines as their work needs it.

    Args:
        cores: of each machine.
        kept: whether pictures are kept.
        beside: cores of each of the machines beside these: the proxy's, the database's and the store's.
    """
    front, back = found.worker + found.ray, found.replica
    fronts = max(1, round(machines * front / (front + back)))
    ours = [
        Station("proxy", 1, beside, found.nginx),
        Station("servers", fronts, cores, front),
        Station("replicas", max(1, machines - fronts), cores, back),
    ]
    return [
        *ours,
        *([Station("database", 1, beside, found.database), Station("store", 1, beside, found.store)] if kept else []),
    ]


def fleets(found: Costs, cores: int, limit: float, requests: int) -> None:
    """Prints what fleets carry."""
    head("machines", "pictures", "beside them", "servers + replicas", "requests/s", "p99, ms", "busiest", "then")
    for machines in (2, 10, 100):
        for kept, several in ((False, (cores,)), (True, (cores, 16))):
            for beside in several:
                stations = fleet(found, machines, cores, kept, beside)
                speed, outcome = carried(stations, limit, requests)
                first, second = sorted(outcome.busy.items(), key=lambda pair: -pair[1])[:2]
                row(
                    machines,
                    "kept" if kept else "answered only",
                    f"{beside} cores each",
                    f"{stations[1].machines} + {stations[2].machines}",
                    f"{speed:,.0f}",
                    f"{outcome.slow:.0f}",
                    f"{first[0]} {first[1]:.0%}",
                    f"{second[0]} {second[1]:.0%}",
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} (default: all)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (default 3)")
    parser.add_argument("--seconds", type=float, default=5, help="length of a turn (default 5)")
    parser.add_argument("--connections", type=int, default=8, help="connections that the client keeps busy (default 8)")
    parser.add_argument("--files", type=int, default=600, help="photos in the folder (default 600)")
    parser.add_argument("--costs", metavar="JSON", help="processor times for `fleets`, in place of measuring them")
    parser.add_argument("--limit", type=float, default=500, help="p99 of what a fleet carries, in ms (default 500)")
    parser.add_argument("--requests", type=int, default=10_000, help="requests in a simulation (default 10,000)")
    arguments = parser.parse_args()
    parts = arguments.parts or PARTS
    if unknown := set(parts) - set(PARTS):
        parser.error(f"PART must be one of {', '.join(PARTS)}. Received: {', '.join(unknown)}")
    found = Costs(**json.loads(arguments.costs)) if arguments.costs else None
    if not found or set(parts) - {"fleets"}:
        with cluster(1, cpus=8) as made:  # more than there are: 4 replicas shall fit
            print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before\n", flush=True)
            made.deploy(1)
            if "rate" in parts:
                rate(made, arguments.rounds, arguments.seconds, arguments.connections)
            if "hop" in parts:
                hop(made, arguments.rounds)
            if "folder" in parts:
                folder(made, arguments.rounds, arguments.files)
            if "costs" in parts or not found:
                found = costs(made, arguments.seconds)
                print(json.dumps(found._asdict()), flush=True)
    if "fleets" in parts:
        assert found
        fleets(found, 2, arguments.limit, arguments.requests)


if __name__ == "__main__":
    main()
