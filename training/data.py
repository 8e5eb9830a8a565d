"""Data sets, read from prepared files; a missing file is downloaded and prepared first.

    from training import data
    digits = data.load("mnist")
    digits.train.x        # uint8 [55000, 28, 28], ink 255 on 0
    digits.held_out.y     # int64 [5000]: never trained on, sets temperature and threshold

Prepared files are in `folder()`. To add a data set, add a row to `DATASETS`.
"""

import csv
import io
import itertools
import os
import pickle
import re
import shutil
import tarfile
import urllib.parse
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from inkling.config import Settings
from training.download import DownloadError, Source, fetch

HELD_OUT_SEED = 20  # fixed, so that no threshold is fitted on a picture that an earlier training used
HELD_OUT_AT_MOST = 1 / 5  # share of the training data, for small prepared files
THREADS = os.cpu_count() or 1

CIFAR10_LABELS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
DOODLE_LABELS = (
    "cat", "dog", "fish", "giraffe", "camel", "octopus", "The Eiffel Tower", "The Mona Lisa", "airplane",
    "apple", "banana", "bed", "bee", "bicycle", "bird", "book", "boomerang", "bowtie", "broom",
    "butterfly", "cake", "car", "chair", "clock", "cloud", "cookie", "couch", "crown", "diamond", "donut",
    "dragon", "eye", "flower", "frog", "guitar", "hand", "hat", "headphones", "helicopter", "horse",
    "hot air balloon", "house", "house plant", "knife", "ladder", "lion", "lollipop", "mushroom", "panda",
    "penguin", "piano", "rainbow", "sailboat", "skull", "smiley face", "snail", "sun", "tractor", "train",
    "tree",
)  # fmt: skip
ANIMALS = DOODLE_LABELS[:6]
THINGS = Path(__file__).with_name("things.csv")  # ImageNet's classes: WordNet id and name
# drawings read from the start of each class file, which has over 100,000: (train, test)
DOODLES_KEPT = (990, 110)
ANIMALS_KEPT = (5_100, 400)
NPY_HEADER = 128  # upper bound of bytes before the first drawing

PHOTO_SIZE = 160  # width and height in pixels of a prepared photo
IMAGENET_SIZE = 227  # the same of imagenet-val
PHOTO_NAME = re.compile(r"PetImages/(Cat|Dog)/([0-9]{1,5})\.jpg")  # members of the archive that are read


@dataclass(frozen=True, eq=False)  # arrays are not hashable
class Split:
    """One part of a data set: `x` uint8 [n, h, w] (ink) or [n, h, w, 3] (photos), `y` int64 [n]."""

    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class Dataset:
    """A data set ready to train on.

    `y` indexes `labels`. `held_out` is split off the training data to fit temperature and threshold; `test` is only
    measured on. `source` names origin and license in one sentence.
    """

    name: str
    labels: tuple[str, ...]
    train: Split
    held_out: Split
    test: Split
    source: str
    shown: bool = False  # whether the license allows publishing renderings of its pictures
    crossed: bool = False  # nothing to train on, and too few pictures: held_out and test are the same ones, see halves


@dataclass(frozen=True)
class Parts:
    """The content of a prepared file: arrays of pictures, or of paths that are decoded later.

    `extra` is added to the training part only; nothing of it is held out.
    """

    labels: tuple[str, ...]
    train: Split
    test: Split
    source: str
    extra: Split | None = None


@dataclass(frozen=True)
class Recipe:
    """One row of `DATASETS`."""

    file: str  # in folder()
    read: Callable[[Path], Parts]
    make: Callable[[Source, Path], object]  # downloads and writes the prepared file in one step
    origin: Source
    held_out: Callable[[int], int]  # size of the training data -> number of pictures to hold out
    pictures: Callable[[np.ndarray], np.ndarray] = np.asarray  # Parts' x -> Split's x
    shown: bool = False  # as in Dataset
    crossed: bool = False  # as in Dataset


def folder() -> Path:
    """The folder of prepared files: `INKLING_DATA`, by default `data` in the checkout."""
    return Settings.from_env().data


def load(name: str, *, limit: int | None = None, seed: int = 0) -> Dataset:
    """Reads a data set and prepares it first if necessary. Parts keep the order of the prepared file.

    Args:
        name: a key of `DATASETS`.
        limit: maximum number of pictures in each part, stratified by class; None reads all.
        seed: selects the pictures under `limit`; the held-out split does not depend on it.

    Raises:
        ValueError: `name` is unknown, `limit` is below 1, or the prepared file is broken.
        DownloadError: the prepared file is missing and the download failed.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, or None for all pictures. Received: {limit}")
    recipe = _recipe(name)
    parts = recipe.read(prepare(name))
    size = len(parts.train.y)
    most = size if recipe.crossed else int(size * HELD_OUT_AT_MOST)
    held = stratified(parts.train.y, min(recipe.held_out(size), most), HELD_OUT_SEED)
    rest = np.setdiff1d(np.arange(size), held)
    train = Split(parts.train.x[rest], parts.train.y[rest])
    if parts.extra:
        train = joined(train, parts.extra)

    def limited(split: Split) -> Split:
        if limit is not None:
            kept = stratified(split.y, limit, seed)
            split = Split(split.x[kept], split.y[kept])
        return Split(recipe.pictures(split.x), split.y)

    held_out = Split(parts.train.x[held], parts.train.y[held])
    return Dataset(
        name,
        parts.labels,
        limited(train),
        limited(held_out),
        limited(parts.test),
        parts.source,
        recipe.shown,
        recipe.crossed,
    )


def joined(first: Split, second: Split) -> Split:
    """The pictures of the first split, followed by those of the second."""
    return Split(np.concatenate([first.x, second.x]), np.concatenate([first.y, second.y]))


def halves(y: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """The pictures to fit on and to measure on, twice: a stratified half and the other half, and the reverse.

    Args:
        y: the labels of a data set's test pictures, int64 [n].
    """
    half = stratified(y, len(y) // 2, HELD_OUT_SEED)
    other = np.setdiff1d(np.arange(len(y)), half)
    return [(half, other), (other, half)]


def prepare(name: str) -> Path:
    """Downloads and prepares a data set unless that is done already; returns the path of its file.

    Raises:
        ValueError: `name` is unknown.
        DownloadError: the download failed.
    """
    recipe = _recipe(name)
    path = folder() / recipe.file
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        recipe.make(recipe.origin, path)
    return path


def stratified(y: np.ndarray, count: int, seed: int) -> np.ndarray:
    """A stratified random sample of `count` of the labels `y`, with each class at least once if possible.

    Returns:
        Their positions, int64 [min(count, len(y))], ascending.
    """
    # NumPy guarantees the stream of RandomState across versions, but not that of default_rng
    order = np.random.RandomState(seed).permutation(len(y))
    turn = np.empty(len(y))  # in [0, 1): the position of each picture within its class
    for label in np.unique(y):
        members = order[y[order] == label]
        turn[members] = np.arange(len(members)) / len(members)
    return np.sort(order[np.argsort(turn[order], kind="stable")[:count]])


def _recipe(name: str) -> Recipe:
    if name not in DATASETS:
        raise ValueError(f"name must be one of {', '.join(DATASETS)}. Received: {name!r}")
    return DATASETS[name]


# ---- Reading prepared files ----


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an .npz; raises ValueError if it is damaged or holds objects, which are pickles."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} must be an .npz of plain arrays. Received: {error}") from error


def _split(path: Path, arrays: dict[str, np.ndarray], part: str, shape: tuple, classes: int) -> Split:
    """`x_<part>` and `y_<part>`, validated: uint8 [n, *shape], and integers [n] below `classes`."""
    for key in (f"x_{part}", f"y_{part}"):
        if key not in arrays:
            raise ValueError(f"{path} must hold {key}. Received: {', '.join(arrays)}")
    x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
    if x.dtype != np.uint8 or x.ndim != len(shape) + 1 or x.shape[1:] != shape:
        dimensions = ", ".join(map(str, shape))
        raise ValueError(f"{path}: x_{part} must be uint8 [n, {dimensions}]. Received: {x.dtype} {x.shape}")
    if y.dtype.kind not in "iu" or y.shape != x.shape[:1]:
        raise ValueError(f"{path}: y_{part} must be integers [{len(x)}]. Received: {y.dtype} {y.shape}")
    if len(y) and not 0 <= y.min() <= y.max() < classes:
        raise ValueError(f"{path}: y_{part} must be in 0..{classes - 1}. Received: {y.min()}..{y.max()}")
    return Split(x, y.astype(np.int64))


def _read_mnist(path: Path) -> Parts:
    arrays = _arrays(path)
    train, test = (_split(path, arrays, part, (28, 28), 10) for part in ("train", "test"))
    source = "MNIST by Yann LeCun, Corinna Cortes and Christopher J. C. Burges, CC BY-SA 3.0."
    return Parts(tuple("0123456789"), train, test, source)


def _read_cifar10(path: Path) -> Parts:
    arrays = _arrays(path)
    train, test = (_split(path, arrays, part, (32, 32, 3), 10) for part in ("train", "test"))
    split = "official split"
    if (len(train.y), len(test.y)) == (45_000, 6_000):
        split = (
            "not the official 50,000 / 10,000 split: trained on the first 45,000 official training pictures, "
            "stored as JPEG, tested on the other 5,000 and the first 1,000 official test pictures"
        )
    source = f"CIFAR-10 by Alex Krizhevsky (2009), no license stated; {split}."
    return Parts(CIFAR10_LABELS, train, test, source)


def _read_doodles(path: Path) -> Parts:
    arrays = _arrays(path)
    classes = arrays.get("classes")
    if classes is None or classes.dtype.kind != "U" or classes.ndim != 1:
        raise ValueError(f"{path} must hold classes, text [n]. Received: {classes}")
    labels = tuple(classes.tolist())
    train, test, extra = (_split(path, arrays, part, (28, 28), len(labels)) for part in ("train", "test", "tu_berlin"))
    source = "Quick, Draw! by Google, CC BY 4.0"
    if len(extra.y):
        source += f", and {len(extra.y)} training drawings from TU-Berlin by Eitz, Hays and Alexa, CC BY 4.0"
    return Parts(labels, train, test, source + ".", extra)


def _read_cats_dogs(path: Path) -> Parts:
    train, test = (_photo_paths(path / part) for part in ("train", "test"))
    source = "Kaggle Cats and Dogs by Microsoft Research and Petfinder.com (Asirra), for research use."
    return Parts(("cat", "dog"), train, test, source)


def _photo_paths(path: Path) -> Split:
    """One part of the photos, cats first; `x` holds paths as text [n]."""
    cats, dogs = (sorted(str(file) for file in (path / label).glob("*.webp")) for label in ("cat", "dog"))
    if not cats or not dogs:
        raise ValueError(f"{path} must hold cat/*.webp and dog/*.webp. Received: {len(cats)} cats and {len(dogs)} dogs")
    return Split(np.array(cats + dogs), np.repeat([0, 1], [len(cats), len(dogs)]))


def _read_imagenet(path: Path) -> Parts:
    """The photos of imagenet-val, to fit on and to measure on.

    `labels.csv` has a row for each photo: its file, and its class as a row of `THINGS`.
    """
    with (path / "labels.csv").open(newline="") as file:
        rows = [(str(path / row["file"]), int(row["class"])) for row in csv.DictReader(file)]
    files, classes = (np.array(column) for column in zip(*rows, strict=True))
    with THINGS.open(newline="", encoding="utf-8") as file:
        labels = tuple(row["name"] for row in csv.DictReader(file))
    photos = Split(files, classes)
    source = "ImageNet (ILSVRC 2012), 650 photos of its validation set, for research use."
    return Parts(labels, photos, photos, source)


def _decode_imagenet(paths: np.ndarray) -> np.ndarray:
    """Decodes photos of imagenet-val: uint8 [n, 227, 227, 3]."""
    return _decode(paths, IMAGENET_SIZE)


def _decode(paths: np.ndarray, side: int = PHOTO_SIZE) -> np.ndarray:
    """Decodes prepared photos: uint8 [n, side, side, 3].

    Not cached: decoding all 25,000 takes 7 to 14 s on two cores, reading them as one array of 1.9 GB 5 to 6 s.
    """
    x = np.empty((len(paths), side, side, 3), np.uint8)

    def decode_one(i: int) -> None:
        try:
            with Image.open(paths[i]) as image:
                pixels = np.asarray(image)
        except (OSError, ValueError, SyntaxError) as error:
            raise ValueError(f"{paths[i]} must be a photo. Received: {error}") from error
        if pixels.shape != x.shape[1:]:
            raise ValueError(f"{paths[i]} must have shape {x.shape[1:]}. Received: {pixels.shape}")
        x[i] = pixels

    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(decode_one, range(len(paths))):  # iterating raises errors of the threads
            pass
    return x


# ---- Download and preparation ----


def _make_cifar10(origin: Source, path: Path) -> None:
    """Prepares the original archive: x_train uint8 [50000, 32, 32, 3], y_train, x_test [10000, 32, 32, 3], y_test."""
    archive = fetch(origin, path.with_name("cifar-10-python.tar.gz"))
    with tarfile.open(archive) as tar:
        train = [_cifar10_batch(tar, f"data_batch_{i}") for i in range(1, 6)]
        x_test, y_test = _cifar10_batch(tar, "test_batch")
        x_train, y_train = (np.concatenate(arrays) for arrays in zip(*train, strict=True))
    with _whole(path) as draft, draft.open("wb") as file:
        np.savez(file, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    archive.unlink()


def _cifar10_batch(tar: tarfile.TarFile, name: str) -> tuple[np.ndarray, np.ndarray]:
    """One pickled batch, read without extracting the archive: uint8 [n, 32, 32, 3], uint8 [n]."""
    with tar.extractfile(f"cifar-10-batches-py/{name}") as file:
        batch = ArrayUnpickler(file, encoding="bytes").load()
    planes = batch[b"data"].reshape(-1, 3, 32, 32)  # the file stores the red plane, then green, then blue
    return planes.transpose(0, 2, 3, 1), np.array(batch[b"labels"], np.uint8)


class ArrayUnpickler(pickle.Unpickler):
    """Unpickles NumPy arrays in plain containers and refuses everything else.

    A second protection: the checksum of the file has been verified before.
    """

    ALLOWED = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        # the name in old pickles, and the function of today
        ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    }

    def find_class(self, module: str, name: str) -> object:
        """Looks up a name in `ALLOWED`; raises UnpicklingError for any other."""
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"a pickle must hold arrays only. Received: {module}.{name}")
        return self.ALLOWED[module, name]


def _make_doodles(origin: Source, path: Path) -> None:
    """Prepares the first drawings of each class: {x,y}_{train,test}, classes, and empty {x,y}_tu_berlin."""
    downloads = path.with_name("quickdraw")
    downloads.mkdir(exist_ok=True)
    parts = {"train": [], "test": []}
    for label in tqdm(DOODLE_LABELS, desc="doodles", unit="class"):
        train, test = ANIMALS_KEPT if label in ANIMALS else DOODLES_KEPT
        drawings = _first_drawings(origin, downloads / f"{label}.npy", train + test)
        parts["train"].append(drawings[:train])
        parts["test"].append(drawings[train:])
    arrays = {"classes": np.array(DOODLE_LABELS)}
    for part, drawings in (parts | {"tu_berlin": [np.empty((0, 28, 28), np.uint8)]}).items():
        arrays[f"x_{part}"] = np.concatenate(drawings)
        arrays[f"y_{part}"] = np.repeat(np.arange(len(drawings), dtype=np.uint8), [len(x) for x in drawings])
    with _whole(path) as draft, draft.open("wb") as file:
        np.savez(file, **arrays)
    shutil.rmtree(downloads)


def _first_drawings(origin: Source, path: Path, count: int) -> np.ndarray:
    """The first drawings of the class named by `path`: uint8 [count, 28, 28], ink 255 on 0."""
    url = origin.url + urllib.parse.quote(path.name)
    fetch(replace(origin, url=url, first=NPY_HEADER + count * 784), path)
    with _discarding(path), path.open("rb") as file:
        np.lib.format.read_magic(file)
        shape, by_column, dtype = np.lib.format.read_array_header_1_0(file)
        pixels = np.frombuffer(file.read(count * 784), np.uint8)
        if by_column or dtype != np.uint8 or shape[1:] != (784,) or len(pixels) != count * 784:
            raise ValueError(f"{dtype} {shape} with {len(pixels)} bytes for {count} drawings")
    return pixels.reshape(count, 28, 28)


def _make_cats_dogs(origin: Source, path: Path) -> None:
    """Prepares Microsoft's archive: {train,test}/{cat,dog}/NNNNN.webp, every tenth of each class in test."""
    archive = fetch(origin, path.with_name("kagglecatsanddogs.zip"))
    with _discarding(archive), zipfile.ZipFile(archive) as photos, _whole(path) as draft:
        members = [match for name in photos.namelist() if (match := PHOTO_NAME.fullmatch(name))]
        for part, label in itertools.product(("train", "test"), ("cat", "dog")):
            (draft / part / label).mkdir(parents=True)
        with ThreadPoolExecutor(THREADS) as pool:
            kept = pool.map(lambda match: _squeeze(photos, match, draft), members)
            broken = list(tqdm(kept, "cats-dogs", len(members), unit="photo")).count(False)
    archive.unlink()
    tqdm.write(f"cats-dogs: kept {len(members) - broken} photos, skipped {broken} broken ones")


def _squeeze(photos: zipfile.ZipFile, match: re.Match, dest: Path) -> bool:
    """Writes one photo as a 160x160 RGB WebP below `dest`; returns False if the published file is damaged."""
    label, number = match[1].lower(), int(match[2])
    content = photos.read(match[0])  # raises for a wrong CRC, which means a failed download rather than a damaged photo
    part = "test" if number % 10 == 0 else "train"
    try:
        with Image.open(io.BytesIO(content)) as image:
            photo = image.convert("RGB").resize((PHOTO_SIZE, PHOTO_SIZE))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False
    photo.save(dest / part / label / f"{number:05}.webp", quality=80)
    return True


def _not_published(origin: Source, path: Path) -> None:
    """Raises DownloadError: these photos are for registered researchers, and no address gives them to a program."""
    raise DownloadError(f"{path} must be put there by hand; {origin.url} gives the photos to researchers")


@contextmanager
def _discarding(download: Path) -> Iterator[None]:
    """Deletes a download that cannot be read, so that the next run fetches it again.

    Raises:
        DownloadError: the file cannot be read.
    """
    try:
        yield
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        download.unlink()
        raise DownloadError(f"{download.name} must be as published; run again. Received: {error}") from error


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Yields a temporary path that is renamed to `path` on success and removed on failure."""
    draft = path.with_name(path.name + ".draft")
    _remove(draft)  # left behind by a killed run
    try:
        yield draft
        draft.replace(path)
    finally:
        _remove(draft)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


DATASETS = {
    "mnist": Recipe(
        file="mnist.npz",
        read=_read_mnist,
        make=fetch,  # Keras publishes exactly this file
        origin=Source(
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
            sha256="731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
        ),
        held_out=lambda size: 5_000,
        shown=True,
    ),
    "cifar10": Recipe(
        file="cifar10.npz",
        read=_read_cifar10,
        make=_make_cifar10,
        origin=Source(
            "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
            size=170_498_071,
            # as published by Keras; the original page gives only an MD5
            sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
        ),
        held_out=lambda size: 2_500,
    ),
    "doodles": Recipe(
        file="doodles.npz",
        read=_read_doodles,
        make=_make_doodles,
        origin=Source("https://storage.googleapis.com/quickdraw_dataset/full/numpy_bitmap/"),
        held_out=lambda size: round(size * 0.05),
        shown=True,
    ),
    "cats-dogs": Recipe(
        file="cats-dogs",
        read=_read_cats_dogs,
        make=_make_cats_dogs,
        origin=Source(
            "https://download.microsoft.com/download/3/E/1/3E1C3F21-ECDB-4869-8368-6DEBA77B919F/"
            "kagglecatsanddogs_5340.zip",
            size=824_887_076,  # no checksum was published
        ),
        held_out=lambda size: 1_500,
        pictures=_decode,
    ),
    "imagenet-val": Recipe(
        file="imagenet-val",
        read=_read_imagenet,
        make=_not_published,
        origin=Source("https://image-net.org/challenges/LSVRC/2012/"),
        held_out=lambda size: size,
        pictures=_decode_imagenet,
        crossed=True,
    ),
}
