"""A Ray Serve application that computes networks for the front doors: `serve run deploy/ray/serve.yaml`.

Inkling's server decodes and prepares pictures, asks this application what a network answers about them, and does the
rest itself (`inkling.recognition.ray`). A replica opens a model when it is first asked for it. A node needs the same
version of Inkling, of its models and of Python as the servers: a replica that has another version of a model than the
server refuses, and then the server computes.
"""

import asyncio

import numpy as np
from ray import serve

from inkling.config import Settings
from inkling.problems import Problem
from inkling.recognition.catalog import Catalog, Model, read_catalog, roots
from inkling.recognition.local import LocalPredictor
from inkling.recognition.ray import outputs, version

MODELS = 16  # that a replica keeps open
PICTURES = 32  # in one batch


def _pictures(batch: list[np.ndarray]) -> int:
    return sum(map(len, batch))


@serve.deployment(
    ray_actor_options={"num_cpus": 1},  # a replica computes with one thread
    autoscaling_config={
        "min_replicas": 1,
        "max_replicas": 16,
        "target_ongoing_requests": 4,  # computed or waiting, per replica
        "upscale_delay_s": 5,
        "downscale_delay_s": 120,
    },
    max_ongoing_requests=32,
    max_queued_requests=256,  # of each server's worker; what exceeds it is refused as busy
    health_check_period_s=5,
    health_check_timeout_s=30,
)
class Classifier:
    """Answers pictures with the networks of the models on its node."""

    def __init__(self) -> None:
        settings = Settings.from_env()
        self._settings = settings.replace(threads=settings.threads or 1)
        self._catalog = read_catalog(*roots(settings))

    async def __call__(self, seen: np.ndarray) -> dict[str, np.ndarray]:
        """What the network of the model that the request names answers.

        Args:
            seen: uint8 [n, height, width, channels].

        Returns:
            its outputs by name, as in `Answer`: each float32 [n, ...].

        Raises:
            Problem: "unknown-model": this node does not have this version; "model-unavailable".
        """
        return await self._answer(seen)

    @serve.batch(
        max_batch_size=PICTURES,
        batch_wait_timeout_s=0,  # what arrives while one batch is computed is the next
        batch_size_fn=_pictures,
    )
    async def _answer(self, batch: list[np.ndarray]) -> list[dict[str, np.ndarray]]:
        """Answers a batch that Ray made of requests for one model."""
        predictor, model = await self._open(serve.get_multiplexed_model_id())
        answer = await asyncio.to_thread(outputs, predictor, model, np.concatenate(batch))
        ends = np.cumsum([len(seen) for seen in batch])
        starts = ends - [len(seen) for seen in batch]
        return [
            {name: values[start:end] for name, values in answer.items()}
            for start, end in zip(starts, ends, strict=True)
        ]

    @serve.multiplexed(max_num_models_per_replica=MODELS)
    async def _open(self, asked: str) -> tuple[LocalPredictor, Model]:
        """Opens a model, in a predictor of its own that is dropped with it."""
        return await asyncio.to_thread(self._open_now, asked)

    def _open_now(self, asked: str) -> tuple[LocalPredictor, Model]:
        self._catalog = read_catalog(*roots(self._settings), previous=self._catalog)
        model = self._catalog.models.get(asked.rpartition("@")[0])
        if model is None or version(model.card) != asked:
            raise Problem("unknown-model", "this node does not have this version of the model", asked)
        predictor = LocalPredictor(Catalog({model.card.name: model}), self._settings)
        predictor.answer([], model)  # opens it
        return predictor, model


app = Classifier.bind()
