"""The loaders and downloads of data sets, tested with tiny data and a local server."""

import functools
import hashlib
import io
import pickle
import struct
import tarfile
import threading
import zipfile
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from inkling.config import ROOT
from training import data, download
from training.download import DownloadError, Source

ARRAY_SETS = {"mnist": (28, 28), "cifar10": (32, 32, 3), "doodles": (28, 28)}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty data folder for each test."""
    path = tmp_path / "data"
    path.mkdir()
    monkeypatch.setenv("INKLING_DATA", str(path))
    return path


@pytest.fixture
def web(tmp_path, monkeypatch):
    """A folder that is served over HTTP. `web.origin(name, ...)` makes it the source of a data set."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    root = tmp_path / "web"
    root.mkdir()
    monkeypatch.setattr(download, "PAUSE", 0)
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=root))
    server.handle_error = lambda *args: None  # a client may close the connection early
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield Web(root, f"http://127.0.0.1:{server.server_port}/", monkeypatch)
    server.shutdown()
    thread.join()
    server.server_close()


class Web:
    def __init__(self, root, url, monkeypatch):
        self.root, self.url, self.monkeypatch = root, url, monkeypatch

    def publish(self, name, content, **known):
        """Serves `content` as data set `name` and publishes its checksum."""
        (self.root / "file").write_bytes(content)
        known = known or {"sha256": hashlib.sha256(content).hexdigest()}
        self.origin(name, Source(self.url + "file", **known))

    def origin(self, name, source):
        self.monkeypatch.setitem(data.DATASETS, name, replace(data.DATASETS[name], origin=source))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def numbered(shape, first, count):
    """Makes `count` pictures. The first two pixels of each hold its number."""
    x = np.zeros((count, *shape), np.uint8)
    flat = x.reshape(count, -1)
    flat[:, 0], flat[:, 1] = np.divmod(np.arange(first, first + count), 256)
    return x


def numbers(x):
    flat = x.reshape(len(x), -1).astype(int)
    return flat[:, 0] * 256 + flat[:, 1]


def tiny(name, train=600, test=120, extra=30):
    """The arrays of a prepared file with 10 labels. Label 0 is rare."""
    y = np.maximum(np.arange(train + test + extra) % 40 % 10, np.arange(train + test + extra) % 40 == 10)
    y = y.astype(np.uint8)
    shape = ARRAY_SETS[name]
    arrays = {
        "x_train": numbered(shape, 0, train),
        "y_train": y[:train],
        "x_test": numbered(shape, train, test),
        "y_test": y[train : train + test],
    }
    if name == "doodles":
        arrays["classes"] = np.array(list("abcdefghij"))
        arrays |= {"x_tu_berlin": numbered(shape, train + test, extra), "y_tu_berlin": y[train + test :]}
    return arrays


def save_photos(folder, counts):
    """Writes prepared cats (gray) and dogs (white), `counts` of each in train and in test."""
    for part, count in counts.items():
        for label, gray in (("cat", 100), ("dog", 255)):
            place = folder / "cats-dogs" / part / label
            place.mkdir(parents=True)
            for i in range(count):
                Image.new("RGB", (160, 160), (gray,) * 3).save(place / f"{i:05}.webp")


# ---- load ----


@pytest.mark.parametrize("name", ARRAY_SETS)
def test_parts_are_disjoint_and_complete(folder, name):
    arrays = tiny(name)
    np.savez(folder / f"{name}.npz", **arrays)
    loaded = data.load(name)
    train, held_out, test = (numbers(part.x) for part in (loaded.train, loaded.held_out, loaded.test))
    everything = np.concatenate([train, held_out, test])
    assert len(set(everything)) == len(everything) == 720 + (30 if name == "doodles" else 0)
    assert set(test) == set(range(600, 720))
    assert set(held_out) < set(range(600))
    assert set(train) - set(range(600)) == (set(range(720, 750)) if name == "doodles" else set())
    for part in (loaded.train, loaded.held_out, loaded.test):
        assert (part.x.dtype, part.y.dtype) == (np.uint8, np.int64)
        assert part.x.shape == (len(part.y), *ARRAY_SETS[name])
    y = np.concatenate([array for key, array in arrays.items() if key.startswith("y_")])
    for part in (loaded.train, loaded.held_out, loaded.test):
        assert (part.y == y[numbers(part.x)]).all()
    assert loaded.name == name
    assert len(loaded.labels) == 10
    assert loaded.source.endswith(".")


def test_doodles_hold_out_a_twentieth_of_each_class(folder):
    arrays = tiny("doodles", train=2_000)
    np.savez(folder / "doodles.npz", **arrays)
    held_out = np.bincount(data.load("doodles").held_out.y, minlength=10)
    assert held_out.sum() == 100
    assert (np.abs(held_out - np.bincount(arrays["y_train"]) / 20) < 1).all()


def test_held_out_is_the_same_for_every_seed(folder):
    np.savez(folder / "mnist.npz", **tiny("mnist"))
    loaded = [data.load("mnist", seed=seed) for seed in (0, 1)]
    assert (loaded[0].held_out.x == loaded[1].held_out.x).all()
    limited = [data.load("mnist", limit=50, seed=seed) for seed in (0, 0, 1)]
    held_out = set(numbers(loaded[0].held_out.x))
    for part in limited:
        assert set(numbers(part.held_out.x)) <= held_out
        assert not set(numbers(part.train.x)) & held_out
    assert (limited[0].train.x == limited[1].train.x).all()
    assert (limited[0].train.x != limited[2].train.x).any()


def test_held_out_stays_what_shipped_models_were_calibrated_on():
    held_out = data.stratified(np.arange(40) % 4, 8, data.HELD_OUT_SEED)
    assert held_out.tolist() == [1, 4, 12, 13, 14, 18, 23, 27]


@pytest.mark.parametrize("limit", [10, 50, 100])
def test_limit(folder, limit):
    arrays = tiny("doodles")
    np.savez(folder / "doodles.npz", **arrays)
    loaded = data.load("doodles", limit=limit)
    sizes = [len(part.y) for part in (loaded.train, loaded.held_out, loaded.test)]
    assert sizes == [limit, min(limit, 30), limit]
    assert set(loaded.train.y) == set(range(10))


@pytest.mark.parametrize("count", [0, 1, 5, 60, 200, 999])
def test_stratified_keeps_proportions(count):
    y = np.repeat([0, 1, 2], [10, 90, 100])
    chosen = data.stratified(y, count, seed=3)
    assert len(set(chosen)) == len(chosen) == min(count, 200)
    shares = np.bincount(y[chosen], minlength=3)
    assert (np.abs(shares - np.array([10, 90, 100]) * len(chosen) / 200) <= 1).all()


def test_cats_dogs(folder):
    save_photos(folder, {"train": 20, "test": 3})
    loaded = data.load("cats-dogs")
    assert loaded.labels == ("cat", "dog")
    assert loaded.train.x.shape == (32, 160, 160, 3)
    assert loaded.train.x.dtype == np.uint8
    assert np.bincount(loaded.held_out.y).tolist() == [4, 4]
    assert np.bincount(loaded.test.y).tolist() == [3, 3]
    for part in (loaded.train, loaded.held_out, loaded.test):
        assert ((part.x.mean(axis=(1, 2, 3)) > 180) == part.y).all()


def test_limit_decodes_only_what_is_needed(folder, monkeypatch):
    save_photos(folder, {"train": 20, "test": 3})
    opened = []
    monkeypatch.setattr(data.Image, "open", lambda path, open=Image.open: opened.append(path) or open(path))
    data.load("cats-dogs", limit=4)
    assert len(opened) == 12


@pytest.mark.parametrize("name", ["", "MNIST", "../mnist"])
def test_an_unknown_name(name):
    with pytest.raises(ValueError, match="must be one of mnist, cifar10, doodles, cats-dogs, imagenet-val. Received: "):
        data.load(name)


def test_a_limit_below_one():
    with pytest.raises(ValueError, match="Received: 0"):
        data.load("mnist", limit=0)


def changed(**arrays):
    return lambda good: {key: value for key, value in (good | arrays).items() if value is not None}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed(x_train=None), "must hold x_train"),
        (changed(y_tu_berlin=None), "must hold y_tu_berlin"),
        (changed(classes=None), "must hold classes"),
        (changed(classes=np.arange(10)), "must hold classes"),
        (changed(x_test=np.zeros((120, 28, 28))), "x_test must be uint8 .n, 28, 28.. Received: float64"),
        (changed(x_train=np.zeros((600, 784), np.uint8)), "x_train must be uint8 .n, 28, 28."),
        (changed(x_train=np.uint8(3)), "x_train must be uint8"),
        (changed(y_train=np.zeros(599, np.uint8)), "y_train must be integers .600.. Received: uint8 .599,."),
        (changed(y_train=np.zeros(600)), "y_train must be integers"),
        (changed(y_test=np.full(120, 10)), "y_test must be in 0..9. Received: 10..10"),
        (changed(y_test=np.full(120, -1)), "y_test must be in 0..9"),
        (changed(y_train=np.array([None] * 600)), "plain arrays"),
    ],
)
def test_a_broken_prepared_file(folder, change, message):
    np.savez(folder / "doodles.npz", **change(tiny("doodles")))
    with pytest.raises(ValueError, match=message) as raised:
        data.load("doodles")
    assert "Received: " in str(raised.value)


def npy():
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


@pytest.mark.parametrize("content", [b"", b"<html>", b"PK\3\4 cut off", npy(), pickle.dumps([1])])
def test_a_prepared_file_that_is_no_npz(folder, content):
    (folder / "mnist.npz").write_bytes(content)
    with pytest.raises(ValueError, match="must be an .npz of plain arrays. Received: "):
        data.load("mnist")


def test_cats_without_dogs(folder):
    save_photos(folder, {"train": 2, "test": 0})
    with pytest.raises(ValueError, match="Received: 0 cats and 0 dogs"):
        data.load("cats-dogs")


def test_photos_of_imagenet_are_fitted_and_measured_on(folder):
    """All of them, with the labels of `things`; there is nothing to train on."""
    place = folder / "imagenet-val"
    place.mkdir()
    for name in ("a", "b", "c"):
        Image.new("RGB", (227, 227), "white").save(place / f"{name}.JPEG")
    (place / "labels.csv").write_text("file,class\na.JPEG,3\nb.JPEG,999\nc.JPEG,3\n")
    photos = data.load("imagenet-val")
    assert photos.crossed
    assert photos.labels[3] == "tiger shark"
    assert len(photos.labels) == 1000
    assert photos.train.x.shape == (0, 227, 227, 3)
    for part in (photos.held_out, photos.test):
        assert (part.x.shape, part.y.tolist()) == ((3, 227, 227, 3), [3, 999, 3])


def test_halves_are_disjoint_complete_and_always_the_same():
    y = np.random.default_rng(0).integers(0, 5, 21)
    first, second = data.halves(y)
    assert [part.tolist() for part in first] == [part.tolist() for part in reversed(second)]
    assert sorted(np.concatenate(first)) == list(range(21))
    assert (data.halves(y)[0][0] == first[0]).all()


@pytest.mark.parametrize("image", [None, Image.new("RGB", (1, 1)), Image.new("RGBA", (160, 160), (0, 0, 0, 9))])
def test_a_broken_prepared_photo(folder, image):
    save_photos(folder, {"train": 2, "test": 1})
    path = folder / "cats-dogs/test/dog/00000.webp"
    if image:
        image.save(path, lossless=True)
    else:
        path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ValueError, match="00000.webp must .* Received: "):
        data.load("cats-dogs")


def test_the_folder_is_in_the_checkout_unless_set(monkeypatch):
    monkeypatch.delenv("INKLING_DATA")
    assert data.folder() == ROOT / "data"


# ---- prepare ----


def test_a_prepared_file_is_left_alone(folder):
    (folder / "mnist.npz").write_bytes(b"mine")
    assert data.prepare("mnist") == folder / "mnist.npz"
    assert (folder / "mnist.npz").read_bytes() == b"mine"


def test_prepare_mnist(folder, web):
    file = io.BytesIO()
    np.savez(file, **tiny("mnist"))
    web.publish("mnist", file.getvalue())
    assert data.prepare("mnist") == folder / "mnist.npz"
    assert (folder / "mnist.npz").read_bytes() == file.getvalue()
    assert data.load("mnist").labels == tuple("0123456789")


def test_prepare_makes_the_folder(web, tmp_path, monkeypatch):
    monkeypatch.setenv("INKLING_DATA", str(tmp_path / "new/data"))
    web.publish("mnist", b"content")
    assert data.prepare("mnist").read_bytes() == b"content"


@pytest.mark.parametrize("name", data.DATASETS)
def test_prepare_without_the_host_leaves_nothing(folder, web, name):
    web.origin(name, Source(web.url + "gone/"))
    with pytest.raises(DownloadError, match="must be put there by hand" if name == "imagenet-val" else "Received: 404"):
        data.prepare(name)
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def python2_batch(x, y):
    """Returns a CIFAR-10 batch as Python 2 pickled it: protocol 2, byte strings, numpy's old names."""

    def text(value):
        return b"T" + struct.pack("<i", len(value)) + value

    def number(value):
        return b"J" + struct.pack("<i", value)

    def array(value):
        new = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
        new += number(0) + b"\x85" + text(b"b") + b"\x87R"
        dtype = b"cnumpy\ndtype\n" + text(b"u1") + number(0) + number(1) + b"\x87R"
        dtype += b"(" + number(3) + text(b"|") + b"NNN" + number(-1) + number(-1) + number(0) + b"tb"
        shape = number(value.shape[0]) + number(value.shape[1]) + b"\x86"
        return new + b"(" + number(1) + shape + dtype + b"\x89" + text(value.tobytes()) + b"tb"

    labels = b"](" + b"".join(number(label) for label in y) + b"e"
    planes = array(x.transpose(0, 3, 1, 2).reshape(len(x), -1))
    items = text(b"batch_label") + text(b"tiny") + text(b"labels") + labels + text(b"data") + planes
    return b"\x80\x02}(" + items + b"u."


def cifar10_archive(batches):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, content in batches.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return file.getvalue()


def cifar10_batches():
    rng = np.random.RandomState(0)
    x, y = rng.randint(0, 256, (60, 32, 32, 3)).astype(np.uint8), rng.randint(0, 10, 60)
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    parts = zip(names, np.split(x, 6), np.split(y, 6), strict=True)
    return x, y, {name: python2_batch(*part) for name, *part in parts}


def test_prepare_cifar10(folder, web):
    x, y, batches = cifar10_batches()
    web.publish("cifar10", cifar10_archive(batches))
    with np.load(data.prepare("cifar10"), allow_pickle=False) as prepared:
        assert (prepared["x_train"] == x[:50]).all()
        assert (prepared["y_train"] == y[:50]).all()
        assert (prepared["x_test"] == x[50:]).all()
        assert (prepared["y_test"] == y[50:]).all()
        assert {prepared[key].dtype for key in prepared} == {np.dtype(np.uint8)}
    assert names(folder) == ["cifar10.npz"]
    assert data.load("cifar10").labels[:2] == ("airplane", "automobile")


class Malicious:
    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("function", [open, eval, pickle.loads, np.load, np.frombuffer, getattr])
def test_a_malicious_pickle_is_refused(folder, web, tmp_path, function, protocol):
    _, _, batches = cifar10_batches()
    mark = tmp_path / "mark"
    arguments = (str(mark), "w") if function is open else (f"open({str(mark)!r}, 'w')",)
    batches["data_batch_3"] = pickle.dumps({"data": Malicious(function, *arguments)}, protocol)
    web.publish("cifar10", cifar10_archive(batches))
    with pytest.raises(pickle.UnpicklingError, match="arrays only. Received: "):
        data.prepare("cifar10")
    assert not mark.exists()
    assert not (folder / "cifar10.npz").exists()


def test_the_checksum_comes_before_the_pickle(folder, web, monkeypatch):
    monkeypatch.delattr(data, "ArrayUnpickler")  # reading a pickle would fail with NameError
    web.publish("cifar10", cifar10_archive(cifar10_batches()[2]), sha256="0" * 64)
    with pytest.raises(DownloadError, match="SHA-256"):
        data.prepare("cifar10")
    assert names(folder) == []


@pytest.fixture
def few_drawings(web, monkeypatch):
    """Three labels with 40 drawings each. 12 of the animal and 6 of each other label are wanted."""
    monkeypatch.setattr(data, "DOODLE_LABELS", ("cat", "hot air balloon", "tree"))
    monkeypatch.setattr(data, "ANIMALS", ("cat",))
    monkeypatch.setattr(data, "ANIMALS_KEPT", (10, 2))
    monkeypatch.setattr(data, "DOODLES_KEPT", (4, 2))
    web.origin("doodles", Source(web.url))
    for i, label in enumerate(data.DOODLE_LABELS):
        np.save(web.root / f"{label}.npy", numbered((784,), 1_000 * i, 40))
    return web


def test_prepare_doodles(folder, few_drawings):
    with np.load(data.prepare("doodles"), allow_pickle=False) as prepared:
        assert prepared["classes"].tolist() == ["cat", "hot air balloon", "tree"]
        assert prepared["x_train"].shape == (18, 28, 28)
        expected = [*range(10), *range(1_000, 1_004), *range(2_000, 2_004)]
        assert numbers(prepared["x_train"]).tolist() == expected
        assert prepared["y_train"].tolist() == [0] * 10 + [1] * 4 + [2] * 4
        assert numbers(prepared["x_test"]).tolist() == [10, 11, 1_004, 1_005, 2_004, 2_005]
        assert prepared["y_test"].tolist() == [0, 0, 1, 1, 2, 2]
        assert (prepared["x_tu_berlin"].shape, prepared["y_tu_berlin"].shape) == ((0, 28, 28), (0,))
    assert names(folder) == ["doodles.npz"]
    assert "TU-Berlin" not in data.load("doodles").source


@pytest.mark.parametrize(
    "content",
    [
        numbered((784,), 0, 5),
        np.zeros((40, 784)),
        np.zeros((40, 28, 28), np.uint8),
        np.zeros((784, 40), np.uint8).T,
    ],
)
def test_drawings_of_another_form(folder, few_drawings, content):
    np.save(few_drawings.root / "tree.npy", content)
    with pytest.raises(DownloadError, match="tree.npy must be as published; run again. Received: "):
        data.prepare("doodles")
    assert names(folder) == ["quickdraw"]
    assert names(folder / "quickdraw") == ["cat.npy", "hot air balloon.npy"]


def test_drawings_that_are_an_error_page(few_drawings):
    (few_drawings.root / "tree.npy").write_bytes(b"<html>" * 5_000)
    with pytest.raises(DownloadError, match="tree.npy"):
        data.prepare("doodles")


def test_the_classes_are_sixty():
    assert len(set(data.DOODLE_LABELS)) == 60
    assert data.ANIMALS == ("cat", "dog", "fish", "giraffe", "camel", "octopus")


def jpeg(mode, size, color):
    file = io.BytesIO()
    Image.new(mode, size, color).save(file, "JPEG")
    return file.getvalue()


def photos_archive(compression=zipfile.ZIP_DEFLATED):
    """21 cats and dogs with a broken, a truncated and a gray picture, and members that must not be read."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for label, color in (("Cat", "red"), ("Dog", "blue")):
            for i in range(21):
                archive.writestr(f"PetImages/{label}/{i}.jpg", jpeg("RGB", (90 + i, 60), color))
            archive.writestr(f"PetImages/{label}/Thumbs.db", b"thumbs")
        archive.writestr("PetImages/Cat/66.jpg", b"")
        archive.writestr("PetImages/Cat/67.jpg", jpeg("RGB", (300, 300), "red")[:700])
        archive.writestr("PetImages/Dog/31.jpg", jpeg("L", (300, 200), 7))
        for name in ("../Cat/5", "/PetImages/Cat/51", "PetImages/Cat/../52", "PetImages/cat/53"):
            archive.writestr(f"{name}.jpg", jpeg("RGB", (9, 9), "green"))
    return file.getvalue()


def test_prepare_cats_dogs(folder, web, capsys):
    content = photos_archive()
    web.publish("cats-dogs", content, size=len(content))
    root = data.prepare("cats-dogs")
    assert names(folder) == ["cats-dogs"]
    found = {part: names(root / part) for part in ("train/cat", "train/dog", "test/cat", "test/dog")}
    tests = ["00000.webp", "00010.webp", "00020.webp"]
    trains = [f"{i:05}.webp" for i in range(21) if i % 10]
    assert found == {
        "train/cat": trains,
        "train/dog": [*trains, "00031.webp"],
        "test/cat": tests,
        "test/dog": tests,
    }
    assert "kept 43 photos, skipped 2 broken ones" in capsys.readouterr().out
    with Image.open(root / "train/cat/00001.webp") as image:
        assert (image.format, image.mode, image.size) == ("WEBP", "RGB", (160, 160))
        red, green, blue = image.getpixel((80, 80))
        assert red > 240 > 20 > max(green, blue)
    assert data.load("cats-dogs").train.x.shape == (30, 160, 160, 3)


def test_an_interrupted_prepare_leaves_no_photos(folder, web, monkeypatch):
    content = photos_archive()
    web.publish("cats-dogs", content, size=len(content))
    (folder / "cats-dogs.draft").mkdir()  # a killed run leaves this folder
    with monkeypatch.context() as patch:
        patch.setattr(data.Image.Image, "save", interrupt)
        with pytest.raises(KeyboardInterrupt):
            data.prepare("cats-dogs")
    assert names(folder) == ["kagglecatsanddogs.zip"]
    (web.root / "file").unlink()  # the next run must not download again
    data.prepare("cats-dogs")
    assert names(folder) == ["cats-dogs"]


def interrupt(*args, **kwargs):
    raise KeyboardInterrupt


@pytest.mark.parametrize("damage", ["photo", "directory"])
def test_a_zip_of_the_right_size_with_wrong_bytes(folder, web, damage):
    content = bytearray(photos_archive(zipfile.ZIP_STORED))
    at = content.index(jpeg("RGB", (95, 60), "red")) + 300 if damage == "photo" else len(content) - 22
    content[at] ^= 1
    web.publish("cats-dogs", bytes(content), size=len(content))
    with pytest.raises(DownloadError, match="kagglecatsanddogs.zip must be as published"):
        data.prepare("cats-dogs")
    assert names(folder) == []
