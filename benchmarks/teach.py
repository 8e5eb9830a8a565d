"""Measures teaching: accuracy, calibration, strangers, wrong labels and seconds, beside two peers' methods.

    make teach
    python -m benchmarks.teach [--draws 10] [--only cats,flowers,cifar,ink,flipped,time,memory,peers]

Each row is the mean over seeded draws of examples, with the standard deviation in brackets. Every draw is tested on
pictures that are in no draw. The data are in `training.data.folder()`: cats and dogs, flowers, CIFAR-10, MNIST and
doodles. Features are computed once for the pictures that the draws need, and kept there. The peers get the same draws,
with the features of MobileNetV2.
"""

import argparse
import hashlib
import io
import os
import re
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in the process that trains; before NumPy is imported

import numpy as np
from PIL import Image
from tqdm import tqdm

from inkling.config import Settings
from inkling.pictures.budget import Budget
from inkling.recognition import inputs
from inkling.recognition.catalog import Model, read_catalog
from inkling.recognition.local import LocalPredictor
from inkling.recognition.measures import calibration_error
from inkling.recognition.predictor import PROBABLY
from inkling.recognition.runtimes import openvino
from inkling.recognition.runtimes.small import SmallGraph
from inkling.service import Upload
from inkling.teach import features, head, review
from inkling.teach.learn import Learned, learn
from training import data

POOL = {"cats": 500, "cifar": 150, "digits": 200, "doodles": 100}  # pictures of each class that draws are taken from
TESTED = {"cifar": 200, "digits": 200}  # test pictures of each class; of the others all
PEER_STEP = {"cats": 5, "cifar": 4}  # peers answer every n-th test picture
BATCH = 4
STRANGERS = 1000


class Set(NamedTuple):
    """Pictures by their features."""

    x: np.ndarray  # float32 [n, d]
    y: np.ndarray  # int [n]

    def of(self, classes: np.ndarray) -> "Set":
        """The pictures of some classes, which are numbered in this order."""
        places = np.full(int(self.y.max()) + 1, -1)
        places[classes] = np.arange(len(classes))
        kept = places[self.y] >= 0
        return Set(self.x[kept], places[self.y[kept]])


class Split(NamedTuple):
    """Pictures to draw examples from, and pictures to test on."""

    pool: Set
    test: Set


class Figures(NamedTuple):
    """What one draw gave."""

    accuracy: float
    error: float  # of calibration
    sure: float  # share of the answers
    right: float  # accuracy among them
    held: bool  # whether the interval from held-out answers holds the accuracy
    seconds: float


Look = Callable[[np.ndarray, int], np.ndarray]  # pictures uint8 [n, ...] and a step -> features of every step-th
Given = tuple[Callable[[int], Split], np.ndarray]  # the split of a draw, and the features of strangers


class Aim(NamedTuple):
    """A row of the last table."""

    what: str
    measured: str
    aim: str
    met: bool


# ---- Data ----


def cached(name: str, pictures: np.ndarray, compute: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The features of uint8 pictures [n, ...], float32 [n, d], computed once."""
    digest = hashlib.sha256(np.ascontiguousarray(pictures).tobytes() + name.encode()).hexdigest()
    path = data.folder() / "features" / f"{digest[:32]}.npy"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        found = [
            compute(pictures[i : i + BATCH]) for i in tqdm(range(0, len(pictures), BATCH), mininterval=30, leave=False)
        ]
        np.save(path, np.concatenate(found).astype(np.float16))
    return np.load(path).astype(np.float32)


def backbone_of(kind: features.Kind) -> Model:
    """The model whose features classifiers of this kind build on."""
    return features.backbone(read_catalog(Settings.from_env().models), kind)


def seen(pictures: np.ndarray, kind: features.Kind) -> np.ndarray:
    """The features of uint8 pictures: photos [n, h, w, 3], or drawings [n, 28, 28], ink 255 on 0."""
    model = backbone_of(kind)
    runtime: list = []

    def compute(batch: np.ndarray) -> np.ndarray:
        if not runtime:
            runtime.append(openvino.open_model(model))
        images = [Image.fromarray(one if kind == "photo" else 255 - one).convert("RGB") for one in batch]
        ready = np.stack([inputs.prepare(image, model.card.input) for image in images])
        return runtime[0].answer(inputs.scale(ready, model.card.input.scaling)).features

    return cached(model.card.files[openvino.FILE], pictures, compute)


def by_mobilenet(pictures: np.ndarray) -> np.ndarray:
    """MobileNetV2's features of photos, float32 [n, 1280]."""
    network: list = []

    def compute(batch: np.ndarray) -> np.ndarray:
        if not network:
            network.append(_mobilenet())
        ready = np.stack([inputs.photo(Image.fromarray(one), 224, 224) for one in batch])
        return np.asarray(network[0](inputs.scale(ready, "signed"))[0])

    return cached("mobilenet_v2", pictures, compute)


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


def evenly(y: np.ndarray, each: int, seed: int) -> np.ndarray:
    """`each` pictures of each class at random, int [n]."""
    rng = np.random.RandomState(seed)
    return np.concatenate([np.sort(rng.permutation(np.flatnonzero(y == c))[:each]) for c in np.unique(y)])


class Pictures(NamedTuple):
    """Pictures to draw from and to test on, uint8 [n, ...], with their classes."""

    pool: np.ndarray
    pool_y: np.ndarray
    test: np.ndarray
    test_y: np.ndarray

    def split(self, kind: features.Kind) -> Split:
        """The same by their features."""
        return Split(Set(seen(self.pool, kind), self.pool_y), Set(seen(self.test, kind), self.test_y))


def cats() -> Pictures:
    parts = data.DATASETS["cats-dogs"].read(data.prepare("cats-dogs"))
    picked, decode = evenly(parts.train.y, POOL["cats"], 1), data.DATASETS["cats-dogs"].pictures
    return Pictures(decode(parts.train.x[picked]), parts.train.y[picked], decode(parts.test.x), parts.test.y)


def cifar() -> Pictures:
    parts = data.DATASETS["cifar10"].read(data.prepare("cifar10"))
    picked, tested = evenly(parts.train.y, POOL["cifar"], 1), evenly(parts.test.y, TESTED["cifar"], 2)
    return Pictures(parts.train.x[picked], parts.train.y[picked], parts.test.x[tested], parts.test.y[tested])


def flowers() -> tuple[np.ndarray, np.ndarray]:
    """All photos of 12 flowers, uint8 [960, 224, 224, 3], and their species."""
    root = data.folder() / "flowers"
    species = sorted(folder.name for folder in (root / "train").iterdir())
    files = [
        (path, i)
        for i, name in enumerate(species)
        for part in ("train", "test")
        for path in sorted((root / part / name).glob("*.jpg"))
    ]
    photos = np.stack([np.asarray(Image.open(path).convert("RGB")) for path, _ in files])
    return photos, np.array([i for _, i in files])


def digits() -> Pictures:
    parts = data.DATASETS["mnist"].read(data.prepare("mnist"))
    picked, tested = evenly(parts.train.y, POOL["digits"], 3), evenly(parts.test.y, TESTED["digits"], 3)
    return Pictures(parts.train.x[picked], parts.train.y[picked], parts.test.x[tested], parts.test.y[tested])


def doodles() -> tuple[np.ndarray, np.ndarray]:
    """Doodles of the kinds that the backbone knows, to be strangers, uint8 [n, 28, 28], and their kinds."""
    parts = data.DATASETS["doodles"].read(data.prepare("doodles"))
    picked = evenly(parts.test.y, 25, 3)
    return parts.test.x[picked], parts.test.y[picked]


def drawn(split: Split, each: int, seed: int) -> Set:
    """`each` examples of each class."""
    picked = evenly(split.pool.y, each, seed)
    return Set(split.pool.x[picked], split.pool.y[picked])


def flower_split(x: np.ndarray, y: np.ndarray, seed: int) -> Split:
    """60 photos of each species to draw from, and the other 20 to test on."""
    picked = evenly(y, 60, 1000 + seed)
    rest = np.setdiff1d(np.arange(len(y)), picked)
    return Split(Set(x[picked], y[picked]), Set(x[rest], y[rest]))


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


def shown(values: list[float], percent: bool = True) -> str:
    """Mean and standard deviation."""
    mean, spread = float(np.nanmean(values)), float(np.nanstd(values))
    return f"{mean:.1%} ({spread:.1%})" if percent else f"{mean:.3f} ({spread:.3f})"


# ---- The tables ----


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=10, help="draws of each row (default 10)")
    parser.add_argument("--only", default="cats,flowers,cifar,ink,strangers,flipped,time,memory,peers")
    chosen = parser.parse_args()
    parts, draws = chosen.only.split(","), range(chosen.draws)
    aims: list[Aim] = []
    if {"cats", "flowers", "cifar", "ink"} & set(parts):
        accuracy_table(parts, draws, aims)
    for name, table in TABLES.items():
        if name in parts:
            table(draws, aims)
    print("| aim | measured | at least | reached |\n| --- | --- | --- | --- |")
    for aim in aims:
        print(f"| {aim.what} | {aim.measured} | {aim.aim} | {'yes' if aim.met else 'missed'} |")


def accuracy_table(parts: list[str], draws: range, aims: list[Aim]) -> None:
    """Accuracy, calibration and the share of sure answers, by examples of each class."""
    print("| what | each | accuracy | calibration error | sure | right when sure | interval holds | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    rows: dict[tuple[str, int], list[Figures]] = {}
    if "cats" in parts:
        split = cats().split("photo")
        for each in (20, 50):
            rows["cats or dogs", each] = accuracy_row("cats or dogs", split, each, draws)
    if "flowers" in parts:
        photos, y = flowers()
        x = seen(photos, "photo")
        for each in (5, 20, 60):
            splits = [flower_split(x, y, seed) for seed in draws]
            rows["12 flowers", each] = accuracy_row("12 flowers", splits, each, draws)
    if "cifar" in parts:
        split = cifar().split("photo")
        for each in (20, 50):
            rows["CIFAR-10", each] = accuracy_row("CIFAR-10", split, each, draws)
    if "ink" in parts:
        rows["10 digits", 20] = accuracy_row("10 digits", digits().split("ink"), 20, draws)
    print()
    for (what, each), goal in ACCURACIES.items():
        if (what, each) in rows:
            values = [row.accuracy for row in rows[what, each]]
            aims.append(Aim(f"{what}, {each} each", shown(values), f"{goal:.1%}", bool(np.mean(values) >= goal)))
    for what in ("cats or dogs", "CIFAR-10"):
        for each, most in ((20, 0.03), (50, 0.02)):
            if (what, each) in rows:
                values = [row.error for row in rows[what, each]]
                met = bool(np.mean(values) <= most)
                aims.append(Aim(f"calibration error, {what}, {each} each", shown(values), f"{most:.0%} at most", met))
    for what in ("cats or dogs", "12 flowers", "CIFAR-10", "10 digits"):
        if (what, 20) in rows:
            found = rows[what, 20]
            right, share = np.nanmean([row.right for row in found]), np.mean([row.sure for row in found])
            aims.append(
                Aim(
                    f"right when sure, {what}, 20 each",
                    f"{right:.1%} of {share:.0%}",
                    "97% of 50%",
                    bool(right >= 0.97 and share >= 0.5),
                )
            )
            held = sum(row.held for row in found)
            wanted = 0.9 * len(found)
            aims.append(Aim(f"interval, {what}, 20 each", f"{held} of {len(found)}", f"{wanted:.0f}", held >= wanted))


ACCURACIES = {
    ("cats or dogs", 20): 0.98,
    ("12 flowers", 5): 0.925,
    ("12 flowers", 20): 0.97,
    ("12 flowers", 60): 0.985,
    ("CIFAR-10", 20): 0.84,
    ("10 digits", 20): 0.9,
}


def accuracy_row(what: str, split: Split | list[Split], each: int, draws: range) -> list[Figures]:
    """Prints one row, and returns the figures of its draws."""
    splits = split if isinstance(split, list) else [split] * len(draws)
    found = [figures(taught(drawn(one, each, seed)), one.test) for seed, one in zip(draws, splits, strict=True)]
    print(
        f"| {what} | {each} | {shown([row.accuracy for row in found])} | {shown([row.error for row in found])} | "
        f"{shown([row.sure for row in found])} | {shown([row.right for row in found])} | "
        f"{sum(row.held for row in found)} of {len(found)} | {np.mean([row.seconds for row in found]):.1f} |",
        flush=True,
    )
    return found


def strangers_table(draws: range, aims: list[Aim]) -> None:
    """How well pictures of none of the labels are noticed, 20 examples of each class."""
    print("| taught | strangers | AUROC | known that pass | strangers “not sure” |\n| --- | --- | --- | --- | --- |")
    photos, kinds = flowers()
    flower_x, small, animals = seen(photos, "photo"), cifar().split("photo"), cats().split("photo")
    ink, doodle = digits().split("ink"), seen(doodles()[0], "ink")

    def some_of_cifar(seed: int) -> tuple[Split, np.ndarray]:
        order = np.random.RandomState(seed).permutation(10)
        split = Split(small.pool.of(order[:5]), small.test.of(order[:5]))
        return split, small.test.of(order[5:]).x

    def some_digits(seed: int) -> tuple[Split, np.ndarray]:
        order = np.random.RandomState(seed).permutation(10)
        split = Split(ink.pool.of(order[:5]), ink.test.of(order[:5]))
        return split, ink.test.of(order[5:]).x

    kinds_of = {
        ("five of CIFAR-10", "the other five"): some_of_cifar,
        ("12 flowers", "cats and dogs"): lambda seed: (flower_split(flower_x, kinds, seed), animals.test.x[::5]),
        ("cats and dogs", "12 flowers"): lambda seed: (animals, flower_x),
        ("10 digits", "60 doodles"): lambda seed: (ink, doodle),
        ("5 digits", "the other five"): some_digits,
    }
    for (what, others), given in kinds_of.items():
        rows = []
        for seed in draws:
            split, strange = given(seed)
            learned = taught(drawn(split, 20, seed))
            known = learned.answer(split.test.x).familiarity
            unknown = learned.answer(strange).familiarity
            passed = float(np.mean(known >= learned.familiar))
            rows.append((auroc(known, unknown), passed, not_sure(learned, strange)))
        apart, passed, vague = (list(column) for column in zip(*rows, strict=True))
        print(f"| {what} | {others} | {shown(apart, False)} | {shown(passed)} | {shown(vague)} |", flush=True)
        met = np.mean(apart) >= 0.95 and np.mean(vague) >= 0.65
        measured = f"AUROC {np.mean(apart):.3f}, {np.mean(vague):.0%}"
        aims.append(Aim(f"strangers: {what}, {others}", measured, "AUROC 0.95, 65%", bool(met)))
    print()


def flipped_table(draws: range, aims: list[Aim]) -> None:
    """Where wrong labels stand in the list of doubtful ones, if one in ten is wrong, 20 examples of each class."""
    print("| what | wrong labels in the first 15% of the list |\n| --- | --- |")
    photos, kinds = flowers()
    x, animals, small = seen(photos, "photo"), cats().split("photo"), cifar().split("photo")
    given = {
        "cats or dogs": lambda seed: animals,
        "12 flowers": lambda seed: flower_split(x, kinds, seed),
        "CIFAR-10": lambda seed: small,
    }
    for what, split in given.items():
        found = []
        for seed in draws:
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
    print()


def time_table(draws: range, aims: list[Aim]) -> None:
    """Seconds from files to the first calibrated answer, and those of learning from 6,000 examples of each class."""
    print("| what | seconds, median | 95th percentile | processor seconds, median |\n| --- | --- | --- | --- |")
    settings = Settings.from_env()
    predictor = LocalPredictor(read_catalog(settings.models), settings)
    photos, y = flowers()
    animals = cats()
    files = {
        "2 x 20 photos, upload to first calibrated answer": (animals.pool, animals.pool_y, 20, 5),
        "10 x 50 photos, the same": (photos, y, 50, 20),
    }
    for what, (pictures, kinds, each, most) in files.items():
        classes = np.arange(min(10, int(kinds.max()) + 1))
        wall, own = [], []
        for seed in list(draws) if each == 20 else list(draws)[:3]:
            picked = evenly(kinds, each, seed)
            picked = picked[np.isin(kinds[picked], classes)]
            uploads = [jpeg(pictures[i]) for i in picked]
            start, used = time.perf_counter(), time.process_time()
            images = [Upload(io.BytesIO(file), "a.jpg").read(settings, Budget(600), 520) for file in uploads]
            learned = learn(features.of(predictor, images, "photo"), kinds[picked], [str(c) for c in classes])
            learned.answer(features.of(predictor, images[:1], "photo"))
            wall.append(time.perf_counter() - start)
            own.append(time.process_time() - used)
        slow = float(np.percentile(wall, 95))
        print(f"| {what} | {np.median(wall):.1f} | {slow:.1f} | {np.median(own):.1f} |", flush=True)
        aims.append(Aim(what, f"{slow:.1f} s", f"{most} s at most", slow <= most))
    rng = np.random.RandomState(0)
    x, kinds = seen(animals.pool, "photo"), animals.pool_y
    picked = np.concatenate([rng.choice(np.flatnonzero(kinds == c), 6000) for c in (0, 1)])
    many = np.maximum(x[picked] * np.exp(rng.normal(0, 0.3, (len(picked), x.shape[1]))), 0).astype(np.float32)
    start, used = time.perf_counter(), time.process_time()
    learn(many, kinds[picked], ["cat", "dog"])
    took = time.perf_counter() - start
    what = "learning from 6,000 examples of each of two classes"
    print(f"| {what} | {took:.1f} | | {time.process_time() - used:.1f} |\n")
    aims.append(Aim(what, f"{took:.1f} s", "30 s at most", took <= 30))


def jpeg(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


def memory_table(draws: range, aims: list[Aim]) -> None:
    """What a hundred taught classifiers add to the memory of a process, 2 x 20 examples each."""
    split = cats().split("photo")
    learned = taught(drawn(split, 20, 0))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "head.onnx")
        head.write(learned, path)
        size = path.stat().st_size
        paths = [Path(folder, f"{i}.onnx") for i in range(100)]
        for copy in paths:
            copy.write_bytes(path.read_bytes())
        before = private()
        heads = [SmallGraph(copy) for copy in paths]
        for one in heads:
            one(split.test.x[:1])
        grown = private() - before
    what = "a hundred taught classifiers, 2 x 20 examples each"
    print("| what | file of a head, kB | memory, MB |\n| --- | --- | --- |")
    print(f"| {what} | {size / 1e3:.0f} | {grown:.1f} |\n", flush=True)
    aims.append(Aim(what, f"{grown:.1f} MB", "under 30 MB", grown < 30))


def private() -> float:
    """The memory that this process shares with no other and with no file, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+)", status)[1]) / 1e3


def peers_table(draws: range, aims: list[Aim]) -> None:
    """The same draws by the peers' methods, on the features of MobileNetV2."""
    from benchmarks.peers import frigate, teachable_machine

    print("| set | method | accuracy | calibration error | strangers, AUROC | seconds |")
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    methods = {"Teachable Machine": teachable_machine.train, "Frigate": frigate.train}
    photos, kinds = flowers()
    animals, small = cats(), cifar()

    def of_flowers(look: Look) -> Given:
        x = look(photos, 1)
        return (lambda seed: flower_split(x, kinds, seed)), look(animals.test, PEER_STEP["cats"])

    def of_pictures(pictures: Pictures, step: int, look: Look) -> Given:
        test = Set(look(pictures.test, step), pictures.test_y[::step])
        split = Split(Set(look(pictures.pool, 1), pictures.pool_y), test)
        return (lambda seed: split), look(photos, 1)

    sets: dict[str, Callable[[Look], Given]] = {
        "12 flowers": of_flowers,
        "cats or dogs": partial(of_pictures, animals, PEER_STEP["cats"]),
        "CIFAR-10": partial(of_pictures, small, PEER_STEP["cifar"]),
    }
    for what, given in sets.items():
        found: dict[str, list[tuple[float, ...]]] = {}
        ours_of, our_strangers = given(lambda pictures, step: seen(pictures, "photo")[::step])
        theirs_of, their_strangers = given(lambda pictures, step: by_mobilenet(pictures[::step]))
        for seed in draws:
            split = ours_of(seed)
            learned = taught(drawn(split, 20, seed))
            ours = figures(learned, split.test)
            apart = auroc(learned.answer(split.test.x).familiarity, learned.answer(our_strangers).familiarity)
            found.setdefault("Inkling", []).append((ours.accuracy, ours.error, apart, ours.seconds))
            split = theirs_of(seed)
            examples = drawn(split, 20, seed)
            for name, train in methods.items():
                start = time.perf_counter()
                answer = train(examples.x, examples.y, int(examples.y.max()) + 1, seed)
                seconds = time.perf_counter() - start
                known, unknown = answer(split.test.x), answer(their_strangers)
                found.setdefault(name, []).append(
                    (
                        float((known.argmax(axis=1) == split.test.y).mean()),
                        calibration_error(known, split.test.y),
                        auroc(known.max(axis=1), unknown.max(axis=1)),
                        seconds,
                    )
                )
        means = {}
        for name, rows in found.items():
            accuracy, error, apart, seconds = (list(column) for column in zip(*rows, strict=True))
            print(
                f"| {what} | {name} | {shown(accuracy)} | {shown(error)} | {shown(apart, False)} | "
                f"{np.mean(seconds):.1f} |",
                flush=True,
            )
            means[name] = np.mean(rows, axis=0) * (1, -1, 1, -1)
        ahead = [bool(np.all(means["Inkling"] >= means[name])) for name in methods]
        aims.append(Aim(f"ahead of both peers, {what}", f"{sum(ahead)} of 2 in all four", "2", all(ahead)))
    print()


TABLES = {
    "strangers": strangers_table,
    "flipped": flipped_table,
    "time": time_table,
    "memory": memory_table,
    "peers": peers_table,
}

if __name__ == "__main__":
    main()
