"""What Prometheus reads: counted in one file a worker (gunicorn.conf.py), summed by whichever worker is asked."""

import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from inkling.config import Settings
from inkling.problems import REASONS
from inkling.recognition.predictor import Prediction, Predictor
from inkling.storage.store import Store

REGISTRY = CollectorRegistry()
STAGES = ("decode", "prepare", "infer")

REQUESTS = Counter("inkling_requests", "Requests answered", ["method", "route", "status"], registry=REGISTRY)
SECONDS = Histogram(
    "inkling_request_seconds",
    "From the first line of a request to its answer",
    ["route"],
    registry=REGISTRY,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
STAGE = Histogram(
    "inkling_stage_seconds",
    "Time that one picture takes in each stage",
    ["stage"],
    registry=REGISTRY,
    buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
ANSWERS = Counter("inkling_answers", "Pictures answered", ["model", "label"], registry=REGISTRY)
REJECTIONS = Counter("inkling_rejections", "Pictures and requests not accepted", ["reason"], registry=REGISTRY)
WAITING = Gauge(
    "inkling_waiting_requests", "Requests that wait for their turn", multiprocess_mode="livesum", registry=REGISTRY
)
READY = Gauge(
    "inkling_model_ready",
    "1 where every worker serves the model, 0 where one has it switched off",
    ["model"],
    multiprocess_mode="livemin",
    registry=REGISTRY,
)
SAVING = Gauge(
    "inkling_saving",
    "1 where every worker keeps what visitors send, 0 where one cannot",
    multiprocess_mode="livemin",
    registry=REGISTRY,
)


@cache
def of(metric: MetricWrapperBase, *labels: str) -> MetricWrapperBase:
    """A metric's part for these labels; remembered, for looking it up costs more than counting."""
    return metric.labels(*labels)


for stage in STAGES:
    of(STAGE, stage)
for reason in REASONS:  # from 0: what appears with its first event has no increase for that one
    of(REJECTIONS, reason)


class Saved(Collector):
    """The size of the pictures' folder, database included, looked up when asked; and the quota."""

    def __init__(self, settings: Settings):
        self._settings = settings

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily("inkling_saved_bytes", "Size of the pictures' folder", _size(self._settings.pictures))
        yield GaugeMetricFamily(
            "inkling_quota_bytes", "What it may grow to; 0 is no limit", self._settings.quota_mb * 2**20
        )


def text(settings: Settings) -> bytes:
    """All of it, in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(Saved(settings))
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        MultiProcessCollector(registry)
        return generate_latest(registry)
    return generate_latest(registry) + generate_latest(REGISTRY)


def answered(answer: Prediction, milliseconds: Mapping[str, float]) -> None:
    """Counts an answer, and the time of its stages."""
    of(ANSWERS, answer.model, answer.label).inc()
    for stage in STAGES:
        of(STAGE, stage).observe(milliseconds[stage] / 1e3)


def models(classifier: Predictor) -> None:
    """Notes which models this worker serves."""
    for name, ready in classifier.catalog.serving.items():
        of(READY, name).set(ready)


def saving(store: Store) -> None:
    """Notes whether this worker keeps what visitors send."""
    SAVING.set(store.problem is None)


def _size(folder: Path) -> int:
    total = 0
    for path in folder.glob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # deleted meanwhile
            continue
    return total
