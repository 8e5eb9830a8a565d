"""`inkling classify --engine ray`: many pictures on a real Ray cluster, in folders, in tables and in an S3 store."""

import io
import re

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from PIL import Image
from pyarrow import parquet

from inkling import bulk, cli
from tests.support import s3

MODEL = "digits-cnn"


def drawings(count):
    """Files of different drawings, by name."""
    rng = np.random.default_rng(2)
    files = {}
    for i in range(count):
        file = io.BytesIO()
        Image.fromarray(rng.integers(0, 255, (30, 30), np.uint8)).save(file, "PNG")
        files[f"{i:03}.png"] = file.getvalue()
    return files


BAD = {"bad/empty.png": b"", "bad/notes.txt": b"hello", "bad/text.jpg": b"hello, this is a text"}
REASONS = {"bad/empty.png": "empty", "bad/notes.txt": "extension", "bad/text.jpg": "not-an-image"}


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(bulk, "FILES", 5)


@pytest.fixture
def classify(fleet, monkeypatch):
    """Returns a function that runs the command and returns (its exit status, what it printed)."""
    monkeypatch.setenv("INKLING_RAY_ADDRESS", fleet.cluster.address)

    def classify(*paths, out, model=MODEL):
        arguments = [*map(str, paths), "--engine", "ray", "--model", model, "--out", str(out)]
        done = CliRunner().invoke(cli.main, ["classify", *arguments], catch_exceptions=False)
        return done.exit_code, done.output

    return classify


@pytest.fixture
def folder(tmp_path):
    """13 drawings and three bad files."""
    for name, data in (drawings(13) | BAD).items():
        file = tmp_path / "pictures" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    (tmp_path / "pictures" / ".hidden").write_bytes(b"nothing to see")
    return tmp_path / "pictures"


def answers(out, filesystem=None):
    """The rows of the answers, by file."""
    return {row["file"]: row for row in parquet.read_table(str(out), filesystem=filesystem).to_pylist()}


def labels(local, files):
    """The label of each picture, as this process computes it."""
    from inkling.recognition.predictor import prepare

    model = local.catalog.model(MODEL)
    pictures = [prepare(Image.open(io.BytesIO(data)).convert("RGB"), model.card) for data in files.values()]
    return dict(zip(files, (answer.label for answer in local.answer(pictures, model)), strict=True))


def test_a_folder_is_classified_and_continued(classify, small_parts, local, folder, tmp_path):
    out = tmp_path / "answers.parquet"
    status, output = classify(folder, out=out)
    assert status == 1  # some files have no answer
    assert "16 pictures, 3 of them without an answer" in output
    assert "4 parts, 0 of them written before" in output
    found = answers(out)
    expected = {str(folder / name): label for name, label in labels(local, drawings(13)).items()}
    assert {file: row["label"] for file, row in found.items() if not row["error"]} == expected
    assert {file: row["error"] for file, row in found.items() if row["error"]} == {
        str(folder / name): reason for name, reason in REASONS.items()
    }
    assert all(row["detail"] for row in found.values() if row["error"])

    first, second, *others = sorted(out.iterdir())
    first.unlink()  # it was interrupted before this part,
    second.write_bytes(second.read_bytes()[:-5])  # while it wrote this one,
    states = [(part, part.stat().st_mtime_ns) for part in others]
    assert "4 parts, 2 of them written before" in classify(folder, out=out)[1]
    assert answers(out) == found
    assert [(part, part.stat().st_mtime_ns) for part in others] == states

    (folder / "999.png").unlink(missing_ok=True)
    (folder / "012.png").unlink()  # and then a picture was deleted
    classify(folder, out=out)
    assert answers(out).keys() == found.keys() - {str(folder / "012.png")}


def test_tables_are_classified(classify, local, tmp_path):
    files = drawings(6)
    plain = pa.table({"path": list(files), "bytes": list(files.values())})
    parquet.write_table(plain, tmp_path / "plain.parquet", row_group_size=4)
    nested = [{"bytes": data, "path": None} for data in files.values()] + [{"bytes": None, "path": None}]
    parquet.write_table(pa.table({"image": nested, "label": range(7)}), tmp_path / "nested.parquet")
    (tmp_path / "one.png").write_bytes(files["000.png"])
    out = tmp_path / "out"
    status, output = classify(tmp_path / "plain.parquet", tmp_path / "nested.parquet", tmp_path / "one.png", out=out)
    assert "14 pictures, 1 of them without an answer" in output
    assert "4 parts, 0 of them" in output
    expected = labels(local, files)
    nested_names = {f"{tmp_path}/nested.parquet#{i}": label for i, label in enumerate(expected.values())}
    found = answers(out)
    assert found.pop(f"{tmp_path}/nested.parquet#6")["error"] == "missing"
    assert {name: row["label"] for name, row in found.items()} == expected | nested_names | {
        f"{tmp_path}/one.png": expected["000.png"]
    }


def test_a_bucket_is_classified_into_a_bucket(classify, small_parts, local, store):
    from pyarrow.fs import S3FileSystem

    def odd(name):  # a URL would write it otherwise
        return f"50% & more?/{name}"

    files = drawings(7)
    for name, data in (files | BAD).items():
        s3.client(store).put_object(Bucket=s3.BUCKET, Key=f"in/{odd(name)}", Body=data)
    status, output = classify(f"s3://{s3.BUCKET}/in", out=f"s3://{s3.BUCKET}/answers.parquet")
    assert (status, "2 parts, 0 of them" in output) == (1, True)
    there = S3FileSystem(access_key=s3.USER, secret_key=s3.SECRET, endpoint_override=store.endpoint)
    found = answers(f"{s3.BUCKET}/answers.parquet", there)
    assert {file: row["label"] for file, row in found.items() if row["label"]} == {
        f"s3://{s3.BUCKET}/in/{odd(name)}": label for name, label in labels(local, files).items()
    }
    assert len([row for row in found.values() if row["error"]]) == len(BAD)
    assert "2 parts, 2 of them" in classify(f"s3://{s3.BUCKET}/in", out=f"s3://{s3.BUCKET}/answers.parquet")[1]


def test_a_machine_with_other_models_does_nothing(classify, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(bulk, "version", lambda card: f"{card.name}@another")
    status, output = classify(folder, out=tmp_path / "out")
    assert status == 1
    assert re.search(r"^Error: the cluster could not do it: the machine \S+ has other models: .*\.$", output, re.M)
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    "path, words",
    [
        ("absent", "absent does not exist."),
        ("nothing://here", "nothing://here cannot be used"),
        ("table.parquet", "is not a table of pictures"),
    ],
)
def test_what_cannot_be_read_is_named(classify, tmp_path, monkeypatch, path, words):
    monkeypatch.chdir(tmp_path)
    parquet.write_table(pa.table({"label": [1]}), tmp_path / "table.parquet")
    status, output = classify(path, out=tmp_path / "out")
    assert status == 1
    assert words in output
