"""Metrics for Prometheus. Each worker counts in files of its own (inkling/web/counters.py), and `text` adds them up."""

import logging
import os
from collections.abc import Mapping
from functools import cache
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.multiprocess import MultiProcessCollector

from inkling.problems import REASONS
from inkling.web import counters

log = logging.getLogger("inkling.metrics")

REGISTRY = CollectorRegistry()
TOKENS = 100  # tokens that a worker counts apart; the points of further ones count as "other"
STAGES = ("decode", "prepare", "infer")

REQUESTS = Counter("inkling_requests", "Requests answered", ["method", "route", "status"], registry=REGISTRY)
SECONDS = Histogram(
    "inkling_request_seconds",
    "Time from the first line of a request to its response",
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
REJECTIONS = Counter("inkling_rejections", "Pictures and requests refused", ["reason"], registry=REGISTRY)
TOKEN_POINTS = Counter(
    "inkling_token_points",
    "Points that tokens, and browsers signed in with them, have used: by the token's number and owner",
    ["token", "owner"],
    registry=REGISTRY,
)
WAITING = Gauge(
    "inkling_waiting_requests",
    "Requests that wait in admission control",
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
READY = Gauge(
    "inkling_model_ready",
    "1 if every worker serves the model, 0 if one has switched it off",
    ["model"],
    multiprocess_mode="livemin",
    registry=REGISTRY,
)
SAVING = Gauge(
    "inkling_saving",
    "1 if every worker can save results, 0 if one cannot",
    multiprocess_mode="livemin",
    registry=REGISTRY,
)
SAVED = Gauge(
    "inkling_saved_bytes",
    "Size of pictures and database",
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
QUOTA = Gauge(
    "inkling_quota_bytes",
    "Quota of the pictures' folder; 0 means no limit",
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)

Metric = TypeVar("Metric", bound=MetricWrapperBase)


@cache
def labeled(metric: Metric, *labels: str) -> Metric:
    """`metric.labels(*labels)`, cached: looking the labels up takes longer than counting."""
    return metric.labels(*labels)


_tokens: set[tuple[str, str]] = set()


def token(number: int, owner: str) -> tuple[str, str]:
    """The labels of a token: its number and its owner, or "other" once there are `TOKENS` others."""
    labels = str(number), owner
    if labels not in _tokens and len(_tokens) >= TOKENS:
        return "other", "other"
    _tokens.add(labels)
    return labels


for stage in STAGES:
    labeled(STAGE, stage)
for reason in REASONS:  # a counter that appears with its first event would show no increase for it
    labeled(REJECTIONS, reason)


def text() -> bytes:
    """The metrics of all workers in Prometheus' text format; of this worker alone where files cannot hold them."""
    if counters.FOLDER in os.environ and counters.flush():
        registry = CollectorRegistry()
        try:
            MultiProcessCollector(registry)
            return generate_latest(registry)
        except counters.UNUSABLE as error:
            log.warning("the metrics of the other workers cannot be read: %s", error)
    return generate_latest(REGISTRY)


def answered(model: str, label: str, milliseconds: Mapping[str, float]) -> None:
    """Counts an answer, and records how long each stage took."""
    labeled(ANSWERS, model, label).inc()
    for stage in STAGES:
        labeled(STAGE, stage).observe(milliseconds[stage] / 1e3)


def models(serving: Mapping[str, bool]) -> None:
    """Records which models this worker serves, by name."""
    for name, ready in serving.items():
        labeled(READY, name).set(ready)


def saving(works: bool) -> None:
    """Records whether this worker can keep what visitors send."""
    SAVING.set(works)


def saved(size: int, quota: int) -> None:
    """Records the size of the stored results and their quota, in bytes."""
    SAVED.set(size)
    QUOTA.set(quota)
