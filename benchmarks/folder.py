"""Compares reading a folder of files with the speed of the network alone, in turns within one run.

    python -m benchmarks.folder [--files 500] [--rounds 5] [--models cats-dogs-mobilenet,digits-cnn]

The folder is generated: JPEG files of 640 x 480, with grainy photos for photo models and drawings for ink models.
"Alone" is the network on prepared arrays, in batches of the size that is fastest for it. "Folder" is `inkling classify
DIR --csv` from the first file to the complete table, with the models already loaded. The share is the median of the
shares of the rounds, so that other work on the machine affects both sides. The processor time of all threads depends
less on it. If the network keeps all cores busy, the share cannot exceed the network's part of the processor time.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from click.testing import CliRunner
from PIL import Image, ImageDraw
from tqdm import tqdm

from inkling import cli
from inkling.config import Settings
from inkling.recognition import inputs
from inkling.recognition.runtimes import openvino
from inkling.service import BATCH, Service

SIZE = (640, 480)
QUALITY, GRAIN = 80, 7  # 45 KB per photo, like real photos of this size and quality
BATCHES = (8, 16, 32, 64, 128)


def photo(rng: np.random.Generator) -> Image.Image:
    """Soft colors with the grain of a camera."""
    soft = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize(SIZE, Image.Resampling.BICUBIC)
    return Image.fromarray(np.clip(np.asarray(soft) + rng.normal(0, GRAIN, (*SIZE[::-1], 3)), 0, 255).astype(np.uint8))


def drawing(rng: np.random.Generator) -> Image.Image:
    """Three pen strokes on white paper."""
    paper = Image.new("RGB", SIZE, "white")
    for _ in range(3):
        points = (rng.uniform(0.2, 0.8, (4, 2)) * SIZE).tolist()
        ImageDraw.Draw(paper).line([tuple(point) for point in points], "black", 14, joint="curve")
    return paper


def make(root: Path, count: int, picture: Callable[[np.random.Generator], Image.Image]) -> Path:
    """Writes a folder of JPEG files and returns it."""
    root.mkdir()
    rng = np.random.default_rng(0)
    for i in range(count):
        picture(rng).save(root / f"{i:05}.jpg", quality=QUALITY)
    return root


class Pace(NamedTuple):
    """Speed and cost of answering pictures."""

    speed: float  # pictures per second
    cost: float  # milliseconds of processor time per picture, in all threads together


def pace(count: int, work: Callable[[], object]) -> Pace:
    """Runs work that answers `count` pictures, and returns its pace."""
    start, used = time.perf_counter(), time.process_time()
    work()
    return Pace(count / (time.perf_counter() - start), (time.process_time() - used) / count * 1e3)


class Contest:
    """One model, alone on arrays and reading a folder."""

    def __init__(self, service: Service, name: str, root: Path):
        self._service, self._name, self._root = service, name, root
        model = service.predictor.catalog.models[name]
        self._network = openvino.open_model(
            model, service.settings.threads or os.cpu_count(), service.settings.precision
        )
        with Image.open(next(root.iterdir())) as image:
            one = inputs.scale(inputs.prepare(image.convert("RGB"), model.card.input)[None], model.card.input.scaling)
        self._count = len(list(root.iterdir()))
        speeds = {}
        for size in BATCHES:
            self._array = np.repeat(one, size, axis=0)
            self._network(self._array)  # OpenVINO compiles the network for each new batch size
            speeds[size] = statistics.median(self.alone(max(BATCHES)).speed for _ in range(3))
        self.batch = max(BATCHES, key=speeds.get)
        self._array = np.repeat(one, self.batch, axis=0)
        self.folder()

    def alone(self, count: int = 0) -> Pace:
        """The pace of the network on at least `count` prepared pictures; 0 means as many as there are files."""
        turns = -(-(count or self._count) // len(self._array))
        return pace(turns * len(self._array), lambda: [self._network(self._array) for _ in range(turns)])

    def folder(self) -> Pace:
        """The pace of `inkling classify DIR --csv`."""
        with tempfile.TemporaryDirectory() as out:
            arguments = ["classify", str(self._root), "--model", self._name, "--csv", f"{out}/out.csv"]
            return pace(self._count, lambda: self._check(CliRunner().invoke(cli.main, arguments, obj=self._service)))

    def _check(self, done) -> None:
        if done.exit_code:
            raise RuntimeError(done.output) from done.exception


def report(contest: Contest, name: str, rounds: int) -> None:
    """Prints the row of one model."""
    alone, whole = [], []
    for _ in tqdm(range(rounds), name, leave=False):
        alone.append(contest.alone())
        whole.append(contest.folder())
    share = statistics.median(one.speed / other.speed for one, other in zip(whole, alone, strict=True))
    own, reading = (Pace(*map(statistics.median, zip(*paces, strict=True))) for paces in (alone, whole))
    print(
        f"| `{name}` | {own.speed:,.0f} (batches of {contest.batch}) | {reading.speed:,.0f} | {share:.0%} | "
        f"{own.cost:.2f} ms | {reading.cost:.2f} ms |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=500, help="files in the folder (default 500)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("--models", default="cats-dogs-mobilenet,digits-cnn", help="models, separated by commas")
    arguments = parser.parse_args()
    print(
        f"{arguments.files} files of {SIZE[0]} x {SIZE[1]}, {os.cpu_count()} cores, batches of {BATCH} "
        f"from the folder, medians of {arguments.rounds} rounds\n"
    )
    print(
        "| model | alone, pictures/s | folder, pictures/s | share | processor, alone | processor, folder |\n"
        "| --- | --- | --- | --- | --- | --- |",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as scratch:
        service = Service.from_settings(Settings.from_env(dict(os.environ) | {"INKLING_PICTURES": scratch}))
        for name in arguments.models.split(","):
            kind = service.predictor.catalog.model(name).card.input.kind
            root = Path(scratch, kind)
            root = root if root.exists() else make(root, arguments.files, photo if kind == "photo" else drawing)
            report(Contest(service, name, root), name, arguments.rounds)


if __name__ == "__main__":
    main()
