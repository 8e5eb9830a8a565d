"""The `inkling` command: recognizing files, maintaining results, archives and settings."""

import csv
import json
import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from inkling import service
from inkling.config import ROOT
from inkling.recognition.predictor import classify_one, wording
from inkling.web import server
from tests.support.command import Runner


@pytest.fixture
def files(tmp_path, drawing, png):
    """Two drawings on disk."""
    drawing.rotate(90).save(tmp_path / "lying.jpg")
    (tmp_path / "upright.png").write_bytes(png)
    return str(tmp_path / "lying.jpg"), str(tmp_path / "upright.png")


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_each_file_gets_a_line(runner, files, ink_model, classifier, drawing):
    done = runner.invoke(args=["classify", *files, "--model", ink_model])
    assert done.exit_code == 0
    first, second = done.stdout.splitlines()
    answer = classify_one(classifier, drawing, classifier.catalog.model(ink_model))
    assert first.startswith(f"{files[0]}: ")
    expected = f"{answer.label} ({wording(answer.confidence, answer.sure)}, {answer.confidence:.1%})"
    assert second == f"{files[1]}: {expected}"
    assert done.stderr == ""


def test_a_file_name_that_is_not_utf8_is_reported(runner, tmp_path, png, ink_model):
    for name in (b"\xff.png", b"\xff.txt"):
        Path(tmp_path, os.fsdecode(name)).write_bytes(png)
    done = runner.invoke(args=["classify", str(tmp_path), "--model", ink_model])
    assert (done.exit_code, len(done.stdout.splitlines()), len(done.stderr.splitlines())) == (1, 1, 1)
    assert done.stdout.startswith(f"{tmp_path}/\ufffd.png: ")


def test_json_is_one_object_a_line(runner, files, ink_model, classifier, drawing):
    done = runner.invoke(args=["classify", "--json", "--model", ink_model, *files])
    assert done.exit_code == 0
    _, second = lines(done.stdout)
    answer = classify_one(classifier, drawing, classifier.catalog.model(ink_model))
    assert (second["file"], second["model"], second["sure"]) == (files[1], ink_model, answer.sure)
    assert second["confidence"] == pytest.approx(answer.confidence, abs=1e-5)
    assert second["label"] == second["predictions"][0][0] == answer.label
    assert len(second["predictions"]) == 5
    assert second["milliseconds"].keys() == {"decode", "prepare", "infer"}


def test_a_bad_file_fails_the_command_but_not_the_others(runner, files, ink_model, tmp_path):
    absent = str(tmp_path / "absent.png")
    done = runner.invoke(args=["classify", absent, files[1], "--model", ink_model])
    assert done.exit_code == 1
    assert done.stderr == f"{absent}: The file cannot be read: No such file or directory.\n"
    assert done.stdout.startswith(f"{files[1]}: ")


@pytest.mark.parametrize(
    "reason",
    [
        "empty",
        "extension",
        "not-an-image",
        "unsupported",
        "too-large",
        "too-many-pixels",
        "truncated",
        "animated-too-long",
        "blank",
    ],
)
def test_a_bad_file_is_told_by_its_reason(runner, bad_files, tmp_path, ink_model, reason):
    name, data = bad_files[reason]
    (tmp_path / name).write_bytes(data)
    done = runner.invoke(args=["classify", str(tmp_path / name), "--model", ink_model, "--json"])
    assert done.exit_code == 1
    (problem,) = lines(done.stdout)
    assert problem["error"]["reason"] == reason
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    "arguments, says",
    [
        ([], "Missing argument 'FILE|DIR...'"),
        (["a.png", "--model", "nope"], "There is no model 'nope'. Available: "),
        (["a.png", "--json", "--csv", "a.csv"], "--json and --csv exclude each other."),
    ],
)
def test_a_wrong_call_says_what_is_wrong(runner, arguments, says):
    done = runner.invoke(args=["classify", *arguments])
    assert done.exit_code != 0
    assert says in done.stderr
    assert done.stdout == ""


def test_models_are_listed_with_their_figures(runner, classifier):
    done = runner.invoke(args=["models"])
    assert done.exit_code == 0
    for card in classifier.catalog:
        (line,) = [line for line in done.stdout.splitlines() if line.split()[0] == card.name]
        assert f"{card.metrics.accuracy:.2%}" in line
        assert f"{card.parameters:,}" in line


def test_a_model_that_is_off_is_named_with_the_reason(app_without_models):
    done = Runner(app_without_models.extensions["inkling"]).invoke(args=["models"])
    assert done.exit_code == 0
    assert done.stdout == ""
    assert done.stderr.startswith("off: broken-one: card.json: name: Field required")


def test_without_models_the_command_says_so(app_without_models, files):
    done = Runner(app_without_models.extensions["inkling"]).invoke(args=["classify", *files])
    assert done.exit_code == 1
    assert done.stderr == "Error: No model is installed that Auto could ask about this picture.\n"


def test_the_command_line_keeps_nothing(runner, files, ink_model, kept):
    runner.invoke(args=["classify", *files, "--model", ink_model])
    assert kept() == []


# ---- Folders and tables ----


@pytest.fixture
def album(tmp_path, png, jpeg):
    """A folder of drawings with a subfolder, broken files, and entries that the command must ignore."""
    root = tmp_path / "album"
    (root / "trip").mkdir(parents=True)
    (root / ".trash").mkdir()
    for name in ("b.png", "a.png", "trip/a.png", "trip/-1+1.png", ".hidden.png", ".trash/c.png"):
        (root / name).write_bytes(png)
    (root / "broken.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (root / "notes.txt").write_text("hello")
    (root / "trip" / "again").symlink_to(root, target_is_directory=True)
    os.mkfifo(root / "pipe.png")  # opening it would block forever
    return root


ALBUM = ["a.png", "b.png", "broken.jpg", "notes.txt", "trip/-1+1.png", "trip/a.png"]


def rows(table):
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_is_all_its_files_in_order(runner, album, ink_model):
    done = runner.invoke(args=["classify", str(album), "--model", ink_model, "--json"])
    assert done.exit_code == 1
    assert [line["file"] for line in lines(done.stdout)] == [str(album / name) for name in ALBUM]


def test_a_table_has_a_row_a_file(runner, album, ink_model, classifier, drawing, tmp_path):
    table = tmp_path / "out.csv"
    done = runner.invoke(args=["classify", str(album), "--model", ink_model, "--csv", str(table)])
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"{table}: 6 files, 2 of them without an answer\n"
    found = rows(table)
    assert [row["file"] for row in found] == [str(album / name) for name in ALBUM]
    assert [row["error"] for row in found] == ["", "", "truncated", "extension", "", ""]
    answer = classify_one(classifier, drawing, classifier.catalog.model(ink_model))
    (label, confidence), (second, _), (third, _) = answer.ranked(3)
    good, bad = found[0], found[3]
    assert (good["label"], good["second_label"], good["third_label"]) == (label, second, third)
    assert float(good["confidence"]) == pytest.approx(confidence, abs=1e-5)
    assert (good["wording"], good["detail"]) == (answer.wording, "")
    assert (bad["label"], bad["confidence"], bad["wording"]) == ("", "", "")
    assert bad["detail"].startswith("The file name must end in one of")


def test_a_folder_is_answered_as_its_files_are(runner, tmp_path, ink_model, drawing):
    """There are more files than are read ahead, each rotated differently, so a mixed-up answer would be noticed."""
    turns = [(i * 37) % 360 for i in range(70)]
    for i, turn in enumerate(turns):
        drawing.rotate(turn, fillcolor="white").save(tmp_path / f"{i:02}.png")
    together = lines(runner.invoke(args=["classify", str(tmp_path), "--model", ink_model, "--json"]).stdout)
    assert len(together) == len(turns)
    for i in (0, service.BATCH - 1, service.BATCH, 63, 64, 69):
        (alone,) = lines(
            runner.invoke(args=["classify", str(tmp_path / f"{i:02}.png"), "--model", ink_model, "--json"]).stdout
        )
        assert (together[i]["file"], together[i]["label"]) == (alone["file"], alone["label"])
        assert together[i]["confidence"] == pytest.approx(alone["confidence"], abs=1e-3)


def test_a_table_within_the_folder_is_no_picture(runner, files, tmp_path, ink_model):
    arguments = ["classify", str(tmp_path), "--model", ink_model, "--csv", str(tmp_path / "out.csv")]
    for _ in range(2):
        assert runner.invoke(args=arguments).exit_code == 0
        assert len(rows(tmp_path / "out.csv")) == 2


@pytest.mark.parametrize("name", [f"{sign}1.png" for sign in "=+-@＝＋－＠\t\r\n"])
def test_a_name_is_no_formula(runner, tmp_path, png, ink_model, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(png)
    runner.invoke(args=["classify", ".", "--model", ink_model, "--csv", "out.csv"])
    assert [row["file"] for row in rows(tmp_path / "out.csv")] == [f"'{name}"]


def test_a_name_of_other_bytes_stays_readable(runner, tmp_path, png, ink_model):
    folder = tmp_path / "album"
    folder.mkdir()
    (folder / os.fsdecode(b'\xff, "a".png')).write_bytes(png)
    done = runner.invoke(args=["classify", str(folder), "--model", ink_model, "--csv", str(tmp_path / "out.csv")])
    assert done.exit_code == 0
    assert [row["file"] for row in rows(tmp_path / "out.csv")] == [f'{folder}/\\udcff, "a".png']


def test_a_table_appears_whole_or_not_at_all(runner, app, files, tmp_path, ink_model, monkeypatch):
    table = tmp_path / "tables" / "out.csv"
    table.parent.mkdir()
    table.write_text("of before")
    monkeypatch.setattr(app.extensions["inkling"].predictor, "answer", lambda *_: 1 / 0)
    done = runner.invoke(args=["classify", *files, "--model", ink_model, "--csv", str(table)])
    assert isinstance(done.exception, ZeroDivisionError)
    assert [path.name for path in table.parent.iterdir()] == ["out.csv"]
    assert table.read_text() == "of before"


def test_a_table_that_cannot_be_written_is_told(runner, files, tmp_path, ink_model):
    table = tmp_path / "absent" / "out.csv"
    done = runner.invoke(args=["classify", *files, "--model", ink_model, "--csv", str(table)])
    assert done.exit_code == 1
    assert done.stderr == f"Error: {table} cannot be written: No such file or directory.\n"


def test_an_empty_folder_is_told(runner, tmp_path, ink_model):
    done = runner.invoke(args=["classify", str(tmp_path), "--model", ink_model, "--csv", str(tmp_path / "out.csv")])
    assert done.exit_code == 1
    assert done.stderr == f"Error: there is no file in {tmp_path}.\n"
    assert list(tmp_path.iterdir()) == []


def test_the_progress_shows_on_a_terminal(files, tmp_path, models_folder, ink_model):
    """The command runs in a process of its own whose standard error is a terminal."""
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (24, 80))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "inkling", "classify", *files, "--model", ink_model, "--csv", tmp_path / "out.csv"],
            cwd=ROOT,
            stderr=its,
            env=os.environ | {"INKLING_MODELS": str(models_folder)},
        )
        shown = os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(its)
    assert done.returncode == 0
    assert "100%" in shown
    assert "2/2" in shown


@pytest.mark.parametrize(
    "options",
    [["--engine", "ray"], ["--out", "out"], ["--engine", "ray", "--out", "out", "--json"]],
    ids=" ".join,
)
def test_an_engine_that_writes_needs_a_place_and_no_other_output(runner, options):
    done = runner.invoke(args=["classify", "a.png", *options])
    assert done.exit_code == 2
    assert "--engine ray and --out belong together" in done.stderr


def test_the_missing_package_of_an_engine_is_named(runner, monkeypatch, tmp_path):
    monkeypatch.setattr("inkling.bulk.find_spec", lambda name: None)
    done = runner.invoke(args=["classify", str(tmp_path), "--engine", "ray", "--out", "out"])
    assert done.exit_code == 1
    assert done.stderr == "Error: --engine ray needs the extra [ray]: pip install 'inkling[ray]'.\n"


# ---- Results and archives ----


@pytest.fixture
def saved(client, png, data_url, ink_model):
    """Saves a result and returns its id."""

    def saved():
        answer = client.post("/predict", data={"model": ink_model, "drawing": data_url(png)})
        return answer.location.rpartition("/")[2]

    return saved


def test_results_are_deleted_by_their_ids(runner, client, saved, kept):
    first, second, third = saved(), saved(), saved()
    done = runner.invoke(["results", "delete", first, third])
    assert (done.exit_code, done.output) == (0, "")
    assert [client.get(f"/results/{id}").status_code for id in (first, second, third)] == [404, 200, 404]
    assert len(kept()) == 3


def test_a_result_that_is_not_there_is_named_and_the_others_go(runner, client, saved):
    id = saved()
    done = runner.invoke(["results", "delete", "-none", id])
    assert (done.exit_code, done.stderr) == (1, "Error: there is no result -none.\n")
    assert client.get(f"/results/{id}").status_code == 404


def test_a_backup_is_restored_into_an_empty_folder(runner, client, saved, settings, make_app, tmp_path):
    id, file = saved(), str(tmp_path / "backup.tar")
    done = runner.invoke(["backup", file])
    assert (done.exit_code, done.output) == (0, f"{file}: 1 results\n")
    elsewhere = settings.replace(pictures=tmp_path / "elsewhere")
    app = make_app(elsewhere)
    done = Runner(app.extensions["inkling"]).invoke(["restore", file])
    assert (done.exit_code, done.output) == (0, f"{elsewhere.pictures}: 1 results\n")
    assert app.test_client().get(f"/results/{id}/picture").data == client.get(f"/results/{id}/picture").data


def test_nothing_is_restored_over_what_is_there(runner, saved, kept, tmp_path):
    saved()
    runner.invoke(["backup", str(tmp_path / "backup.tar")])
    before = kept()
    done = runner.invoke(["restore", str(tmp_path / "backup.tar")])
    assert done.exit_code == 1
    assert re.fullmatch("Error: .* holds something already; restore into an empty folder[.]\n", done.stderr)
    assert kept() == before


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["backup", "absent/backup.tar"], "Error: absent/backup.tar cannot be written: No such file or directory.\n"),
        (["restore", "absent.tar"], "File 'absent.tar' does not exist."),
        (["restore", "notes.txt"], "notes.txt"),
    ],
)
def test_an_archive_that_cannot_be_used_is_told(runner, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("hello")
    done = runner.invoke(arguments)
    assert done.exit_code in (1, 2)
    assert says in done.stderr
    assert isinstance(done.exception, SystemExit), "no traceback"


# ---- Settings ----


@pytest.mark.parametrize("command", [["models"], ["classify", "a.png"], ["results", "prune"], ["serve"]])
def test_a_bad_setting_is_told_in_a_line(monkeypatch, command):
    monkeypatch.setenv("INKLING_THREADS", "many")
    done = Runner(None).invoke(command)
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: INKLING_THREADS must be")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "options, environment, bind, workers",
    [
        ([], {}, "127.0.0.1:5000", 3),
        (["--port", "8000"], {}, "127.0.0.1:8000", 3),
        (["--port", "8000"], {"PORT": "80"}, "0.0.0.0:8000", 3),
        (["--host", "10.0.0.1", "--workers", "1"], {"PORT": "80"}, "10.0.0.1:80", 1),
    ],
)
def test_serving_takes_address_and_workers_from_options(monkeypatch, options, environment, bind, workers):
    served = []
    monkeypatch.setattr(server, "run", served.append)
    monkeypatch.delenv("PORT", raising=False)
    for name, value in ({"WEB_CONCURRENCY": "3"} | environment).items():
        monkeypatch.setenv(name, value)
    assert Runner(None).invoke(["serve", *options]).exit_code == 0
    assert [(settings.bind, settings.workers) for settings in served] == [(bind, workers)]
