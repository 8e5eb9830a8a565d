"""Problems keep all their data when they are sent to another process."""

import copy
import importlib
import multiprocessing
import pickle
import pkgutil
import queue

import pytest

import inkling
from inkling.pictures.sandbox import DecoderEnded
from inkling.problems import Problem

LONG = "a name of " + "many letters " * 9 + "and a \x07 bell.png"
# Scripts, not modules: the first runs the command, and only Alembic can run the second.
SCRIPTS = ("inkling.__main__", "inkling.storage.migrations.env")


def subclasses(kind):
    return {kind}.union(*map(subclasses, kind.__subclasses__()))


def problem_classes():
    """Returns `Problem` and all its subclasses in the package."""
    for module in pkgutil.walk_packages(inkling.__path__, "inkling."):
        if module.name not in SCRIPTS:
            importlib.import_module(module.name)
    return sorted(
        (kind for kind in subclasses(Problem) if kind.__module__.startswith("inkling.")), key=lambda kind: kind.__name__
    )


def same(error, other):
    return (type(error), error.args, vars(error), str(error)) == (type(other), other.args, vars(other), str(other))


def send_back(errors, answers):
    """Receives problems in another process and sends them back."""
    answers.put(errors)


@pytest.fixture(scope="module")
def errors():
    problems = [
        kind("extension", "The file name must end in .png.", received)
        for kind in problem_classes()
        for received in ("", LONG)
    ]
    return [*problems, DecoderEnded(-9), DecoderEnded(-9, timed_out=True)]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_they_survive_pickle(errors, protocol):
    for error in errors:
        assert same(pickle.loads(pickle.dumps(error, protocol)), error)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_they_survive_copies(errors, copied):
    for error in errors:
        assert same(copied(error), error)


def test_they_survive_another_process(errors):
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=send_back, args=(errors, answers), daemon=True)
    process.start()
    try:
        returned = answers.get(timeout=60)
    except queue.Empty:
        pytest.fail(f"the process ended with {process.exitcode}")
    process.join(10)
    assert all(same(*pair) for pair in zip(returned, errors, strict=True))


def test_a_problem_reads_as_its_message():
    error = Problem("extension", "The file name must end in .png.", "a.exe")
    assert (str(error), error.reason, error.received) == (error.message, "extension", "a.exe")
