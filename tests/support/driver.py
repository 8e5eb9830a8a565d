"""A driver process that asks no cluster: `inkling.recognition.raydriver` with replicas of its own, which misbehave.

What the address of the cluster says decides how: "right" answers like a replica, "silent" never answers, "ends" ends at
the first question, "busy", "away" and "refused" say so, and "nobody" finds no cluster.
"""

import asyncio
import os

import numpy as np

from inkling.config import Settings
from inkling.problems import Problem
from inkling.recognition import raydriver
from inkling.recognition.catalog import read_catalog
from inkling.recognition.local import LocalPredictor
from inkling.recognition.ray import outputs

SETTINGS = Settings.from_env({"INKLING_THREADS": "1", "INKLING_PRECISION": "f32"})
PREDICTOR = LocalPredictor(read_catalog(SETTINGS.models), SETTINGS)


def connect(address: str) -> str:
    if address == "nobody":
        raise ConnectionError("there is nobody at this address")
    return address


async def ask(handle: str, model: str, seen: np.ndarray, seconds: float) -> dict[str, np.ndarray]:
    if handle == "silent":
        await asyncio.sleep(3600)
    if handle == "ends":
        os._exit(3)
    if handle == "away":
        raise ConnectionError("no replica is left")
    if handle == "refused":
        raise Problem("unknown-model", "this node does not have this version of the model", model)
    if handle == "busy":
        raise raydriver.Full("the queue is full")
    return outputs(PREDICTOR, PREDICTOR.catalog.model(model.partition("@")[0]), seen)


if __name__ == "__main__":
    raydriver.connect, raydriver.ask = connect, ask
    raydriver.main()
