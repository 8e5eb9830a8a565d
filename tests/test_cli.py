"""`flask classify` and `flask models`: what the pages do, from a terminal."""

import json

import pytest

from inkling.classifier import wording


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
    answer = classifier.classify_one(drawing, ink_model)
    assert first.startswith(f"{files[0]}: ")
    expected = f"{answer.label} ({wording(answer.confidence, answer.sure)}, {answer.confidence:.1%})"
    assert second == f"{files[1]}: {expected}"
    assert done.stderr == ""


def test_json_is_one_object_a_line(runner, files, ink_model, classifier, drawing):
    done = runner.invoke(args=["classify", "--json", "--model", ink_model, *files])
    assert done.exit_code == 0
    _, second = lines(done.stdout)
    answer = classifier.classify_one(drawing, ink_model)
    assert (second["file"], second["model"], second["sure"]) == (files[1], ink_model, answer.sure)
    assert second["confidence"] == pytest.approx(answer.confidence, abs=1e-5)
    assert second["label"] == second["predictions"][0][0] == answer.label
    assert len(second["predictions"]) == 5
    assert second["milliseconds"].keys() == {"decode", "prepare", "infer"}


def test_without_a_model_the_best_for_photos_is_used_and_named(runner, files, classifier):
    best = classifier.catalog.by_task("photo")[0][1][0].name
    done = runner.invoke(args=["classify", files[0], "--json"])
    assert done.exit_code == 0
    assert done.stderr == f"model: {best}\n"
    assert lines(done.stdout)[0]["model"] == best


def test_a_bad_file_fails_the_command_but_not_the_others(runner, files, ink_model, tmp_path):
    absent = str(tmp_path / "absent.png")
    done = runner.invoke(args=["classify", absent, files[1], "--model", ink_model])
    assert done.exit_code == 1
    assert done.stderr == f"{absent}: The file cannot be read: No such file or directory.\n"
    assert done.stdout.startswith(f"{files[1]}: ")


@pytest.mark.parametrize("reason", ["empty", "extension", "not-an-image", "mismatch", "too-large", "too-many-pixels",
                                    "truncated", "animated-too-long", "blank"])
def test_a_bad_file_is_told_by_its_reason(runner, bad_files, tmp_path, ink_model, reason):
    name, data = bad_files[reason]
    (tmp_path / name).write_bytes(data)
    done = runner.invoke(args=["classify", str(tmp_path / name), "--model", ink_model, "--json"])
    assert done.exit_code == 1
    (problem,) = lines(done.stdout)
    assert problem["error"]["reason"] == reason
    assert "Traceback" not in done.output


def test_a_folder_is_no_file(runner, tmp_path, ink_model):
    (tmp_path / "folder.png").mkdir()
    done = runner.invoke(args=["classify", str(tmp_path / "folder.png"), "--model", ink_model])
    assert done.exit_code == 1
    assert "cannot be read: Is a directory" in done.stderr


@pytest.mark.parametrize("arguments, says", [
    ([], "Missing argument 'FILES...'"), (["a.png", "--model", "nope"], "There is no model 'nope'. Available: ")])
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
    done = app_without_models.test_cli_runner().invoke(args=["models"])
    assert done.exit_code == 0
    assert done.stdout == ""
    assert done.stderr.startswith("off: broken-one: card.json: name: Field required")


def test_without_models_the_command_says_so(app_without_models, files):
    done = app_without_models.test_cli_runner().invoke(args=["classify", *files])
    assert done.exit_code == 1
    assert done.stderr == "Error: no model for photos is installed; name one with --model.\n"


def test_the_command_line_keeps_nothing(runner, files, ink_model, kept):
    runner.invoke(args=["classify", *files, "--model", ink_model])
    assert kept() == []
