"""Measures teaching: accuracy, calibration, strangers, wrong labels, two peers' methods, and a server that teaches.

    make teach
    python -m benchmarks.teach [--draws 10] [--only accuracy,strangers,flipped,peers,time,large,memory]

Prints the tables of docs/benchmarks/teach.md as Markdown, and exits with 1 where an aim is missed. Each row is the mean
over seeded draws of examples, with the standard deviation in brackets. Every draw is tested on pictures that are in no
draw; `benchmarks.draws` has them. The peers get the same draws, with the features of MobileNetV2. The last three parts
are those of `benchmarks.lesson`. Features are computed once in a run.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in the process that trains; before NumPy is imported

import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks import draws, lesson
from benchmarks.bench import print_aims
from benchmarks.draws import Set, Split, drawn
from benchmarks.lesson import Aim
from inkling.config import Settings
from inkling.recognition import inputs
from inkling.recognition.catalog import read_catalog
from inkling.recognition.local import LocalPredictor
from inkling.recognition.measures import calibration_error
from inkling.recognition.predictor import PROBABLY
from inkling.recognition.runtimes import openvino
from inkling.teach import features, review
from inkling.teach.learn import Learned, learn
from training import data

BATCH = 16


class Figures(NamedTuple):
    """What one draw gave."""

    accuracy: float
    error: float  # of calibration
    sure: float  # share of the answers
    right: float  # accuracy among them
    held: bool  # whether the interval from held-out answers holds the accuracy
    seconds: float


Look = Callable[[np.ndarray], np.ndarray]  # pictures uint8 [n, ...] -> their features
SplitOf = Callable[[int], Split]  # of a draw


# ---- Features ----

_found: dict[tuple[int, str], tuple[np.ndarray, np.ndarray]] = {}  # by id and network: pictures and their features


def computed(pictures: np.ndarray, network: str, compute: Look) -> np.ndarray:
    """The features of uint8 pictures [n, ...], float32 [n, d], computed once in this process."""
    key = id(pictures), network
    if key not in _found:
        batches = tqdm(range(0, len(pictures), BATCH), network, mininterval=10, leave=False)
        _found[key] = pictures, np.concatenate([compute(pictures[i : i + BATCH]) for i in batches])
    return _found[key][1]


def seen(pictures: np.ndarray, kind: features.Kind) -> np.ndarray:
    """What classifiers build on: the features of photos [n, h, w, 3], or of drawings [n, 28, 28], ink 255 on 0."""

    def compute(some: np.ndarray) -> np.ndarray:
        images = [Image.fromarray(one if kind == "photo" else 255 - one).convert("RGB") for one in some]
        return features.of(predictor(), images, kind)

    return computed(pictures, kind, compute)


def split_of(pictures: draws.Pictures, look: Look) -> Split:
    """The pictures by their features."""
    return Split(Set(look(pictures.pool), pictures.pool_y), Set(look(pictures.test), pictures.test_y))


photos, drawings = partial(seen, kind="photo"), partial(seen, kind="ink")


@cache
def predictor() -> LocalPredictor:
    """Computes features as the process that trains does."""
    settings = Settings.from_env(dict(os.environ) | {"WEB_CONCURRENCY": "1"})
    return LocalPredictor(read_catalog(settings.models), settings)


def by_mobilenet(pictures: np.ndarray) -> np.ndarray:
    """MobileNetV2's features of photos, float32 [n, 1280]."""

    def compute(some: np.ndarray) -> np.ndarray:
        ready = np.stack([inputs.photo(Image.fromarray(one), 224, 224) for one in some])
        return np.asarray(_mobilenet()(inputs.scale(ready, "signed"))[0])

    return computed(pictures, "mobilenet", compute)


@cache
def _mobilenet() -> openvino.Compiled:
    import keras

    weights = data.folder() / "backbones" / "mobilenet_v2_notop.weights.h5"
    network = keras.applications.MobileNetV2(
        input_shape=(224, 224, 3), include_top=False, weights=weights, pooling="avg"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mobilenet.onnx")
        network(np.zeros((1, 224, 224, 3), np.float32))  # it exports only what was called before
        network.export(path, format="onnx", verbose=False)
        return openvino.compile_onnx(path)


# ---- Measures ----


def taught(examples: Set) -> Learned:
    """The head that learns from examples."""
    return learn(examples.x, examples.y, [str(i) for i in range(int(examples.y.max()) + 1)])


def figures(learned: Learned, test: Set) -> Figures:
    """The figures of a head on test pictures of its labels."""
    answer = learned.answer(test.x)
    right = answer.probabilities.argmax(axis=1) == test.y
    sure = (answer.familiarity >= learned.familiar) & (answer.probabilities.max(axis=1) >= learned.threshold)
    report = learned.report
    return Figures(
        float(right.mean()),
        calibration_error(answer.probabilities, test.y),
        float(sure.mean()),
        float(right[sure].mean()) if sure.any() else np.nan,
        report.low <= right.mean() <= report.high,
        report.seconds,
    )


def auroc(known: np.ndarray, strange: np.ndarray) -> float:
    """The probability that a known picture has a higher score than a strange one."""
    ranks = np.concatenate([known, strange]).argsort().argsort() + 1
    return float((ranks[: len(known)].sum() - len(known) * (len(known) + 1) / 2) / (len(known) * len(strange)))


def not_sure(learned: Learned, x: np.ndarray) -> float:
    """The share of pictures that are answered "not sure"."""
    answer = learned.answer(x)
    confidence = answer.probabilities.max(axis=1)
    vague = confidence < min(learned.threshold, PROBABLY)
    return float(np.mean((answer.familiarity < learned.familiar) | vague))


def shown(values: Sequence[float], percent: bool = True) -> str:
    """Mean and standard deviation of the draws that have a value."""
    if np.isnan(values).all():
        return "none"
    mean, spread = float(np.nanmean(values)), float(np.nanstd(values))
    return f"{mean:.1%} ({spread:.1%})" if percent else f"{mean:.3f} ({spread:.3f})"


# ---- The tables ----


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(TABLES | lesson.TABLES), help="the tables to print (default all)")
    lesson.add_options(parser)
    chosen = parser.parse_args()
    print(lesson.machine(), flush=True)
    aims: list[Aim] = []
    seconds = {}
    for name in chosen.only.split(","):
        start = time.perf_counter()
        try:
            (TABLES | lesson.TABLES)[name](chosen, aims)
        except RuntimeError as error:  # of a server; the other tables took minutes
            aims.append(Aim(f"table “{name}”", f"failed: {error}", "printed", False))
        seconds[name] = time.perf_counter() - start
    print("\n## What was reached\n")
    print_aims(aims)
    print("\n## How long it takes\n\n| part | seconds |\n| --- | --- |")
    for name, took in (seconds | {"all": sum(seconds.values())}).items():
        print(f"| {name} | {took:.0f} |")
    return not all(aim.met for aim in aims)


def accuracy_table(chosen: argparse.Namespace, aims: list[Aim]) -> None:
    """Accuracy, calibration and the share of sure answers, by examples of each class."""
    print("\n## Accuracy, calibration and the interval\n")
    print("| what | each | accuracy | calibration error | sure | right when sure | interval holds | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    rows: dict[tuple[str, int], list[Figures]] = {}
    for what, (split, sizes) in {
        "cats or dogs": (always(split_of(draws.cats(), photos)), (20, 50)),
        "12 flowers": (flower_splits(photos), (5, 20, 60)),
        "CIFAR-10": (always(split_of(draws.cifar(), photos)), (20, 50)),
        "10 digits": (always(split_of(draws.digits(), drawings)), (20,)),
    }.items():
        for each in sizes:
            found = []
            for seed in range(chosen.draws):
                one = split(seed)
                found.append(figures(taught(drawn(one, each, seed)), one.test))
            rows[what, each] = found
            accuracy, error, sure, right, _, seconds = zip(*found, strict=True)
            print(
                f"| {what} | {each} | {shown(accuracy)} | {shown(error)} | {shown(sure)} | {shown(right)} | "
                f"{held(found)} of {len(found)} | {np.mean(seconds):.1f} |",
                flush=True,
            )
    aims += accuracy_aims(rows)


def accuracy_aims(rows: dict[tuple[str, int], list[Figures]]) -> list[Aim]:
    """What the rows of the first table should reach."""
    aims = []
    for (what, each), least in ACCURACIES.items():
        values = [row.accuracy for row in rows[what, each]]
        aims.append(Aim(f"{what}, {each} each", shown(values), f"{least:.1%}", bool(np.mean(values) >= least)))
    for (what, each), most in CALIBRATION.items():
        values = [row.error for row in rows[what, each]]
        met = bool(np.mean(values) <= most)
        aims.append(Aim(f"calibration error, {what}, {each} each", shown(values), f"{most:.0%} at most", met))
    for what in ("cats or dogs", "12 flowers", "CIFAR-10", "10 digits"):
        found = rows[what, 20]
        right, share = np.nanmean([row.right for row in found]), np.mean([row.sure for row in found])
        met = bool(right >= 0.97 and share >= 0.5)
        aims.append(Aim(f"right when sure, {what}, 20 each", f"{right:.1%} of {share:.1%}", "97% of 50%", met))
        measured, met = f"{held(found)} of {len(found)}", held(found) >= 0.9 * len(found)
        aims.append(Aim(f"interval holds, {what}, 20 each", measured, "9 of 10", met))
    return aims


ACCURACIES = {
    ("cats or dogs", 20): 0.98,
    ("12 flowers", 5): 0.925,
    ("12 flowers", 20): 0.97,
    ("12 flowers", 60): 0.985,
    ("CIFAR-10", 20): 0.84,
    ("10 digits", 20): 0.9,
}
CALIBRATION = {
    ("cats or dogs", 20): 0.03,
    ("cats or dogs", 50): 0.02,
    ("CIFAR-10", 20): 0.03,
    ("CIFAR-10", 50): 0.02,
}


def held(found: list[Figures]) -> int:
    """In how many draws the interval holds the accuracy."""
    return sum(row.held for row in found)


def always(split: Split) -> SplitOf:
    """The same split for each draw."""
    return lambda seed: split


def flower_splits(look: Look) -> SplitOf:
    """A split of the flowers for each draw."""
    pictures, species = draws.flowers()
    x = look(pictures)
    return lambda seed: draws.flower_split(x, species, seed)


def strangers_table(chosen: argparse.Namespace, aims: list[Aim]) -> None:
    """How well pictures of none of the labels are noticed, 20 examples of each class."""
    print("\n## Strangers\n")
    print("| taught | strangers | AUROC | known that pass | strangers “not sure” |")
    print("| --- | --- | --- | --- | --- |", flush=True)
    flowers, flower_splits_of = photos(draws.flowers()[0]), flower_splits(photos)
    small, animals = split_of(draws.cifar(), photos), split_of(draws.cats(), photos)
    ink, doodles = split_of(draws.digits(), drawings), drawings(draws.doodles()[0])

    def halved(split: Split, seed: int) -> tuple[Split, np.ndarray]:
        order = np.random.RandomState(seed).permutation(10)
        return Split(split.pool.of(order[:5]), split.test.of(order[:5])), split.test.of(order[5:]).x

    kinds: dict[tuple[str, str], Callable[[int], tuple[Split, np.ndarray]]] = {
        ("five of CIFAR-10", "the other five"): lambda seed: halved(small, seed),
        ("12 flowers", "cats and dogs"): lambda seed: (flower_splits_of(seed), animals.test.x),
        ("cats and dogs", "12 flowers"): lambda seed: (animals, flowers),
        ("10 digits", "60 kinds of doodles"): lambda seed: (ink, doodles),
        ("five digits", "the other five"): lambda seed: halved(ink, seed),
    }
    for (what, others), given in kinds.items():
        rows = []
        for seed in range(chosen.draws):
            split, strange = given(seed)
            learned = taught(drawn(split, 20, seed))
            known = learned.answer(split.test.x).familiarity
            passed = float(np.mean(known >= learned.familiar))
            rows.append((auroc(known, learned.answer(strange).familiarity), passed, not_sure(learned, strange)))
        apart, passed, vague = zip(*rows, strict=True)
        print(f"| {what} | {others} | {shown(apart, False)} | {shown(passed)} | {shown(vague)} |", flush=True)
        measured = f"AUROC {np.mean(apart):.3f}, {np.mean(vague):.1%}"
        met = bool(np.mean(apart) >= 0.95 and np.mean(vague) >= 0.65)
        aims.append(Aim(f"strangers: {what}, {others}", measured, "AUROC 0.95, 65%", met))


def flipped_table(chosen: argparse.Namespace, aims: list[Aim]) -> None:
    """Where wrong labels stand in the list of doubtful ones, if one in ten is wrong, 20 examples of each class."""
    print("\n## Wrong labels\n")
    print("| what | wrong labels in the first 15% of the list |\n| --- | --- |", flush=True)
    for what, split in {
        "cats or dogs": always(split_of(draws.cats(), photos)),
        "12 flowers": flower_splits(photos),
        "CIFAR-10": always(split_of(draws.cifar(), photos)),
    }.items():
        found = []
        for seed in range(chosen.draws):
            examples, rng = drawn(split(seed), 20, seed), np.random.RandomState(seed)
            classes = int(examples.y.max()) + 1
            wrong = rng.permutation(len(examples.y))[: len(examples.y) // 10]
            y = examples.y.copy()
            y[wrong] = (y[wrong] + rng.randint(1, classes, len(wrong))) % classes
            report = taught(Set(examples.x, y)).report
            order = np.argsort(-review.suspicion(np.array(report.held_out), y), kind="stable")
            found.append(float(np.isin(wrong, order[: round(0.15 * len(y))]).mean()))
        print(f"| {what} | {shown(found)} |", flush=True)
        aims.append(Aim(f"wrong labels found, {what}", shown(found), "80%", bool(np.mean(found) >= 0.8)))


def peers_table(chosen: argparse.Namespace, aims: list[Aim]) -> None:
    """The same draws by the peers' methods, on the features of MobileNetV2."""
    from benchmarks.peers import frigate, teachable_machine  # with TensorFlow, which the other tables do without

    print("\n## Beside two peers\n")
    print("| set | method | accuracy | calibration error | strangers, AUROC | seconds |")
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    peers = {"Teachable Machine": teachable_machine.train, "Frigate": frigate.train}
    for what in ("12 flowers", "cats or dogs", "CIFAR-10"):
        (ours_of, our_strangers), (theirs_of, their_strangers) = beside(what, photos), beside(what, by_mobilenet)
        found: dict[str, list[Beside]] = {name: [] for name in ("Inkling", *peers)}
        for seed in range(chosen.draws):
            split = ours_of(seed)
            learned = taught(drawn(split, 20, seed))
            ours, known = figures(learned, split.test), learned.answer(split.test.x)
            apart = auroc(known.familiarity, learned.answer(our_strangers).familiarity)
            found["Inkling"].append(Beside(ours.accuracy, ours.error, apart, ours.seconds))
            split = theirs_of(seed)
            examples = drawn(split, 20, seed)
            for name, train in peers.items():
                start = time.perf_counter()
                answer = train(examples.x, examples.y, int(examples.y.max()) + 1, seed)
                seconds = time.perf_counter() - start
                sure, unsure = answer(split.test.x), answer(their_strangers)
                accuracy = float((sure.argmax(axis=1) == split.test.y).mean())
                apart = auroc(sure.max(axis=1), unsure.max(axis=1))
                found[name].append(Beside(accuracy, calibration_error(sure, split.test.y), apart, seconds))
        for name, rows in found.items():
            accuracies, errors, aparts, took = zip(*rows, strict=True)
            print(
                f"| {what} | {name} | {shown(accuracies)} | {shown(errors)} | {shown(aparts, False)} | "
                f"{np.mean(took):.1f} |",
                flush=True,
            )
        for name in peers:
            ahead = advantages(found["Inkling"], found[name])
            aims.append(Aim(f"ahead of {name}, {what}", ", ".join(ahead) or "in nothing", "all four", len(ahead) == 4))


class Beside(NamedTuple):
    """What one draw gave by one method."""

    accuracy: float
    calibration: float  # its error
    strangers: float  # AUROC
    seconds: float


def advantages(ours: list[Beside], theirs: list[Beside]) -> list[str]:
    """The figures in which we are ahead on average."""
    better = (1, -1, 1, -1) * (np.mean(ours, axis=0) - np.mean(theirs, axis=0))
    return [name for name, gain in zip(Beside._fields, better, strict=True) if gain > 0]


def beside(what: str, look: Look) -> tuple[SplitOf, np.ndarray]:
    """The splits of a set, and the features of strangers: flowers, or cats and dogs where flowers are taught."""
    if what == "12 flowers":
        return flower_splits(look), look(draws.cats().test)
    pictures = draws.cats() if what == "cats or dogs" else draws.cifar()
    return always(split_of(pictures, look)), look(draws.flowers()[0])


TABLES = {"accuracy": accuracy_table, "strangers": strangers_table, "flipped": flipped_table, "peers": peers_table}

if __name__ == "__main__":
    sys.exit(main())
