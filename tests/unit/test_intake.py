"""What people bring to teach from: which class each picture gets, and what is refused for which reason."""

import io
import random
import stat
import struct
import tracemalloc
import zipfile
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZipFile, ZipInfo

import hypothesis
import hypothesis.strategies as st
import pytest

from inkling.pictures.budget import Budget
from inkling.problems import Problem
from inkling.service import Upload
from inkling.teach import intake

MB = 2**20


@pytest.fixture
def limits(settings):
    """Limits that small zips exceed."""
    return settings.replace(zip_mb=1, zip_files=20)


def packed(files, method=ZIP_DEFLATED):
    """A zip of {path: bytes}, open at its start."""
    file = io.BytesIO()
    with ZipFile(file, "w", method) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    file.seek(0)
    return file


def read(source, settings):
    return source.read(settings, Budget(60), 256)


def named(pairs):
    return [(source.name, name) for source, name in pairs]


# ---- Classes ----

# title -> paths, and the class of each
LAYOUTS = {
    "a folder of folders": (["robin/1.jpg", "wren/2.jpg"], ["robin", "wren"]),
    "inside one more folder": (["birds/robin/1.jpg", "birds/wren/2.jpg"], ["robin", "wren"]),
    "inside two more folders": (["a/b/robin/1.jpg", "a/b/wren/2.jpg"], ["robin", "wren"]),
    "a stray picture beside the classes": (["b/1.jpg", "b/robin/2.jpg", "b/wren/3.jpg"], [None, "robin", "wren"]),
    "one class": (["robin/1.jpg", "robin/2.jpg"], ["robin", "robin"]),
    "one class in a folder": (["birds/robin/1.jpg"], ["robin"]),
    "folders within a class": (["robin/old/1.jpg", "robin/2.jpg", "wren/3.jpg"], ["robin", "robin", "wren"]),
    "one folder within a class": (["robin/old/1.jpg", "robin/2.jpg"], ["robin", "robin"]),
    "no folder": (["1.jpg", "2.jpg"], [None, None]),
    "parts of a data set": (["train/robin/1.jpg", "Test/wren/2.jpg"], ["robin", "wren"]),
    "parts of a data set in a folder": (["birds/train/robin/1.jpg", "birds/val/wren/2.jpg"], ["robin", "wren"]),
    "classes that are called so": (["test/1.jpg", "robin/2.jpg"], ["test", "robin"]),
    "from the folder itself": (["./robin/1.jpg", "./wren/2.jpg"], ["robin", "wren"]),
    "slashes of Windows": (["birds\\robin\\1.jpg", "birds\\wren\\2.jpg"], ["robin", "wren"]),
    "names without an extension, and with a query": (
        ["cats/image", "cats/a.jpg?v=2", "dogs/b.jfif", "dogs/notajpg"], ["cats", "cats", "dogs", "dogs"]
    ),
    "another kind of file that ends like a picture": (["cats/notes.xjpg", "cats/1.jpg"], [None, "cats"]),
    "a list beside the classes": (
        ["LICENSE", "b/README", "b/cats/1.jpg", "b/dogs/2.jpg"], [None, None, "cats", "dogs"]
    ),
    "what is no picture": (["birds/notes.txt", "birds/robin/1.jpg", "birds/wren/2.jpg"], [None, "robin", "wren"]),
}  # fmt: skip


@pytest.mark.parametrize("title", LAYOUTS)
def test_folders_name_the_classes(limits, jpeg, title):
    paths, classes = LAYOUTS[title]
    found = intake.from_zip(packed({path: jpeg for path in paths}), limits)
    assert [name for _, name in found] == classes
    assert [name for _, name in intake.from_uploads([Upload(io.BytesIO(jpeg), path) for path in paths])] == classes


def test_a_folder_on_disk_is_read_as_a_zip_of_it(limits, jpeg, tmp_path):
    for path in ("robin/2.jpg", "robin/1.jpg", "wren/3.jpg", "wren/.hidden.jpg", "wren/Thumbs.db", ".git/4.jpg"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(jpeg)
    found = intake.from_folder(tmp_path, limits)
    assert named(found) == [(f"{tmp_path}/{name}", name[:-6]) for name in ("robin/1.jpg", "robin/2.jpg", "wren/3.jpg")]
    assert read(found[0][0], limits).size == (256, 256)


def test_a_given_class_counts_instead_of_the_folders(limits, jpeg):
    assert [name for _, name in intake.from_zip(packed({"wren/1.jpg": jpeg}), limits, name="robin")] == ["robin"]
    assert [name for _, name in intake.from_uploads([Upload(io.BytesIO(jpeg), "wren/1.jpg")], "robin")] == ["robin"]


@pytest.mark.parametrize(
    "junk", ["__MACOSX/robin/._1.jpg", "robin/.DS_Store", "robin/Thumbs.db", "Desktop.ini", ".git/1.jpg", "a/.1.jpg"]
)
def test_what_systems_add_to_folders_is_left_out(limits, jpeg, junk):
    pairs = intake.from_zip(packed({junk: b"x", "birds/robin/1.jpg": jpeg, "birds/wren/2.jpg": jpeg}), limits)
    assert named(pairs) == [("1.jpg", "robin"), ("2.jpg", "wren")]


def test_names_in_utf_8_are_read_where_the_zip_does_not_say_so(limits, jpeg, monkeypatch):
    monkeypatch.setattr(ZipInfo, "_encodeFilenameFlags", lambda info: (info.filename.encode(), info.flag_bits & ~0x800))
    file = packed({"снегирь/1.jpg": jpeg, "wren/2.jpg": jpeg})
    monkeypatch.undo()
    assert [name for _, name in intake.from_zip(file, limits)] == ["снегирь", "wren"]


# ---- One bad picture costs itself ----

# title -> (path, reason) of an entry that is refused
PATHS = {
    "above": ("../../etc/passwd.jpg", "path"),
    "above in the middle": ("robin/../../1.jpg", "path"),
    "absolute": ("/etc/1.jpg", "path"),
    "a drive": ("C:\\birds\\1.jpg", "path"),
    "a share": ("\\\\server\\robin\\1.jpg", "path"),
    "deep": ("a/" * 5000 + "1.jpg", "path"),
    "a program": ("robin/1.exe", "extension"),
    "another zip": ("robin/1.zip", "extension"),
    "only an extension after a NUL": ("robin/1.php\0.jpg", "extension"),
}


@pytest.mark.parametrize("title", PATHS)
def test_a_hostile_path_costs_its_picture_alone(limits, jpeg, title):
    path, reason = PATHS[title]
    pairs = intake.from_zip(packed({path: jpeg, "robin/2.jpg": jpeg, "wren/3.jpg": jpeg}), limits)
    (source, name), *others = pairs
    with pytest.raises(Problem) as caught:
        read(source, limits)
    assert caught.value.reason == reason
    assert source.name.isprintable()
    assert "/" not in source.name
    assert reason == "extension" or name is None
    assert [name for _, name in others] == ["robin", "wren"]
    assert all(read(source, limits).size == (256, 256) for source, _ in others)


def test_a_link_in_a_zip_is_a_file_that_is_not_a_picture(limits):
    link = ZipInfo("robin/1.jpg")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    ((source, _),) = intake.from_zip(packed({link: "/etc/passwd"}), limits)
    with pytest.raises(Problem, check=lambda problem: problem.reason == "not-an-image"):
        read(source, limits)


def test_a_bad_picture_among_forty_costs_itself_alone(settings, jpeg):
    files = {f"robin/{i}.jpg": jpeg for i in range(39)} | {"robin/bad.jpg": jpeg[: len(jpeg) // 2]}
    refused = {}
    for source, name in intake.from_zip(packed(files), settings):
        assert name == "robin"
        try:
            read(source, settings)
        except Problem as problem:
            refused[source.name] = problem.reason
    assert refused == {"bad.jpg": "truncated"}


def altered(file, field, value):
    """The zip with another value in the first entry of its table of contents (offsets: APPNOTE.TXT, 4.3.12)."""
    data = bytearray(file.getvalue())
    size = "<I" if field in (16, 20, 24, 42) else "<H"
    struct.pack_into(size, data, data.index(b"PK\1\2") + field, value)
    return io.BytesIO(data)


# title -> what to do to a zip of one good picture, and the reason of its refusal
DAMAGED = {
    "locked": (lambda file: altered(file, 8, 1), "zip"),
    "strongly locked": (lambda file: altered(file, 8, 0x41), "zip"),
    "packed by LZMA": (lambda file: altered(file, 10, ZIP_LZMA), "zip"),
    "packed by bzip2": (lambda file: altered(file, 10, ZIP_BZIP2), "zip"),
    "packed by nothing known": (lambda file: altered(file, 10, 99), "zip"),
    "a wrong checksum": (lambda file: altered(file, 16, 1), "zip"),
    "longer than it says": (lambda file: altered(file, 24, 10), "zip"),
    "elsewhere": (lambda file: altered(file, 42, 0xFFFFFF), "zip"),
    "too large by itself": (lambda file: altered(file, 24, 100_001), "too-large"),
}  # fmt: skip


@pytest.mark.parametrize("title", DAMAGED)
def test_a_damaged_entry_costs_itself_alone(limits, jpeg, title):
    change, reason = DAMAGED[title]
    (first, _), (second, _) = intake.from_zip(change(packed({"robin/1.jpg": jpeg, "robin/2.jpg": jpeg})), limits)
    with pytest.raises(Problem) as caught:
        read(first, limits)
    assert caught.value.reason == reason
    assert read(second, limits).size == (256, 256)


def test_no_more_is_unpacked_than_the_zip_says(limits):
    """A picture that says it has 100 bytes, and would unpack to 50 MB."""
    ((bomb, _),) = intake.from_zip(altered(packed({"1.jpg": bytes(50 * MB)}), 24, 100), limits)
    tracemalloc.start()
    try:
        with pytest.raises(Problem):
            read(bomb, limits)
        assert tracemalloc.get_traced_memory()[1] < MB
    finally:
        tracemalloc.stop()


# ---- The whole zip ----


def overlapping(count):
    """A zip whose entries all are the same packed megabyte of zeros."""
    data = packed({"1.jpg": bytes(90_000)}).getvalue()
    start = data.index(b"PK\1\2")
    end = data.index(b"PK\5\6")
    table = data[start:end] * count
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(table), start, 0)
    return io.BytesIO(data[:start] + table + tail)


# title -> zip, and the reason of its refusal
WHOLE = {
    "no zip": (lambda: io.BytesIO(b"GIF89a, this is no zip"), "zip"),
    "nothing": (io.BytesIO, "zip"),
    "half of it": (lambda: io.BytesIO(packed({"1.jpg": bytes(9999)}).getvalue()[:60]), "zip"),
    "no file in it": (lambda: packed({}), "missing"),
    "folders only": (lambda: packed({"robin/": b"", "wren/": b""}), "missing"),
    "junk only": (lambda: packed({"__MACOSX/._1.jpg": b"x", ".DS_Store": b"x"}), "missing"),
    "too large as it is": (lambda: packed({"1.jpg": random.Random(0).randbytes(MB + 9)}), "zip-too-large"),
    "too large when it is unpacked": (lambda: packed({f"{i}.jpg": bytes(90_000) for i in range(12)}), "zip-too-large"),
    "the same bytes many times": (lambda: overlapping(12), "zip-too-large"),
    "too many files": (lambda: packed({f"{i}.jpg": b"x" for i in range(21)}), "zip-too-large"),
    "a long table of contents": (lambda: packed({f"{i}/": b"" for i in range(3000)}), "zip-too-large"),
}


@pytest.mark.parametrize("title", WHOLE)
def test_a_zip_is_refused_as_a_whole(limits, title):
    make, reason = WHOLE[title]
    with pytest.raises(Problem) as caught:
        intake.from_zip(make(), limits)
    assert caught.value.reason == reason


def test_a_million_tiny_files_are_refused_before_they_are_listed(settings, monkeypatch):
    """The table of contents of a zip with a million files is never parsed."""
    monkeypatch.setattr(zipfile, "ZipInfo", None)
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0) + b"1.jpg"
    table = entry * 1_000_000
    file = io.BytesIO(table + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(table), 0, 0))
    with pytest.raises(Problem) as caught:
        intake.from_zip(file, settings)
    assert caught.value.reason == "zip-too-large"


def test_a_folder_with_too_many_files_is_refused(limits, tmp_path):
    for i in range(21):
        (tmp_path / f"{i}.jpg").touch()
    with pytest.raises(Problem) as caught:
        intake.from_folder(tmp_path, limits)
    assert caught.value.reason == "zip-too-large"
    assert str(caught.value) == "At most 20 files are accepted at once. Received: more"


def test_an_empty_folder_is_refused(limits, tmp_path):
    with pytest.raises(Problem) as caught:
        intake.from_folder(tmp_path, limits)
    assert caught.value.reason == "missing"


@hypothesis.settings(max_examples=150, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
@hypothesis.given(seed=st.integers(0, 2**32), flips=st.integers(1, 12))
def test_any_damage_ends_in_a_reason(limits, jpeg, seed, flips):
    data, chance = bytearray(packed({"robin/1.jpg": jpeg, "wren/2.jpg": b""}).getvalue()), random.Random(seed)
    for _ in range(flips):
        data[chance.randrange(len(data))] = chance.randrange(256)
    try:
        for source, _ in intake.from_zip(io.BytesIO(data), limits):
            try:
                read(source, limits)
            except Problem:
                continue
    except Problem:
        return
