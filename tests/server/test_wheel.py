"""An installed wheel serves and classifies in an empty folder."""

import http.client
import json
import os
import shutil
import site
import subprocess
import sys
import venv
import zipfile
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from benchmarks.pictures import form
from benchmarks.servers import free_port
from inkling.config import ROOT
from tests.support.server import request, wait_until
from tests.support.taught import BLUE, RED, colored

MOST_BYTES = 70 * 10**6
START_SECONDS = 120  # generous: a busy machine compiles every model


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", folder, ROOT], check=True, timeout=300)
    (path,) = folder.glob("inkling-*.whl")
    return path


@pytest.fixture(scope="module")
def inkling(wheel, tmp_path_factory):
    """The installed command, in an environment with this one's packages but without the checkout."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    python = str(folder / "bin" / "python")
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, wheel], check=True, timeout=300)
    # A .pth file with a plain path: site.addsitedir would also follow an editable installation of the checkout.
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    return folder / "bin" / "inkling"


@pytest.fixture
def empty(tmp_path):
    """An empty working folder, and the environment variables of the command."""
    folder = tmp_path / "empty"
    folder.mkdir()
    names = ("PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH")
    return folder, {name: os.environ[name] for name in names if name in os.environ}


def run(inkling, empty, *arguments):
    """Runs the command and returns its output."""
    folder, env = empty
    done = subprocess.run(
        [inkling, *map(str, arguments)], cwd=folder, env=env, capture_output=True, text=True, timeout=START_SECONDS
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def serving(inkling, empty):
    """Starts `inkling serve` and waits for its first response. Yields a function that sends a request."""
    folder, env = empty
    port = free_port()
    env = env | {"PORT": str(port), "INKLING_HOST": "127.0.0.1", "WEB_CONCURRENCY": "1"}
    log = folder.with_name("log")

    def send(*arguments):
        return request(http.client.HTTPConnection("127.0.0.1", port, timeout=60), *arguments)

    def answers():
        assert process.poll() is None, log.read_text()
        with suppress(OSError):
            return send("GET", "/healthz")

    with log.open("w") as output:
        process = subprocess.Popen([inkling, "serve"], cwd=folder, env=env, stdout=output, stderr=output)
        try:
            wait_until(answers, START_SECONDS, log.read_text)
            yield send
        finally:
            process.terminate()
            process.wait(60)


def test_the_wheel_is_small_and_complete(wheel):
    assert wheel.stat().st_size < MOST_BYTES
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("templates", "static"):
        files = {f"inkling/{path.relative_to(ROOT)}" for path in (ROOT / folder).rglob("*") if path.is_file()}
        assert files <= names
    networks = {path for path in (ROOT / "models").glob("*/model.onnx") if path.parent.name != "things"}
    assert {f"inkling/{path.relative_to(ROOT)}" for path in networks} <= names
    assert "inkling/models/things/model.onnx" not in names  # it is built where the wheel is installed
    assert not any(name.endswith("model.keras") for name in names)
    assert {name.split("/")[0] for name in names} == {"inkling", f"inkling-{wheel.name.split('-')[1]}.dist-info"}


def test_the_wheel_serves_in_an_empty_folder(inkling, empty, png, jpeg, ink_model):
    folder, _ = empty
    with serving(inkling, empty) as send:
        assert send("GET", "/healthz")[0] == 200
        status, _, page = send("GET", "/")
        assert status == 200
        stylesheet = page.decode().partition('rel="stylesheet" href="')[2].partition('"')[0]
        assert send("GET", stylesheet)[0] == 200
        body, content_type = form(png)
        headers = {"Content-Type": content_type}
        status, _, answer = send("POST", f"/api/predict?model={ink_model}", body, headers)
        assert (status, json.loads(answer)["label"]) == (200, "1")
        body, content_type = form(jpeg, "photo.jpg")
        status, _, answer = send("POST", "/api/predict?model=things", body, {"Content-Type": content_type})
        assert (status, json.loads(answer)["model"]) == (200, "things")
    assert [path.name for path in folder.iterdir()] == ["saveimages"]


@pytest.fixture
def alone():
    """A command that runs the command after it where there is no network."""
    command = ["unshare", "--map-root-user", "--net"]
    if not shutil.which("unshare") or subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("this machine gives a process no network namespace of its own")
    return command


def run_alone(alone, empty, script):
    """Runs a shell script where there is no network, and returns the lines that it prints."""
    folder, env = empty
    done = subprocess.run(
        [*alone, "sh", "-ec", script], cwd=folder, env=env, capture_output=True, text=True, timeout=START_SECONDS
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_things_is_built_and_answers_without_a_network(inkling, empty, jpeg, alone):
    """The weights are in a package, so nothing is fetched: neither to build the network nor to answer."""
    folder, _ = empty
    (folder / "photo.jpg").write_bytes(jpeg)
    python = Path(inkling).with_name("python")
    interfaces, built, answer = run_alone(
        alone,
        empty,
        f"""
        {python} -c 'import socket; print([name for _, name in socket.if_nameindex()])'
        rm -f "$({python} -c 'import inkling; print(inkling.__path__[0])')/models/things/model.onnx"
        {inkling} models build
        {inkling} classify photo.jpg --model things --json
        """,
    )
    assert interfaces == "['lo']"
    assert built.startswith("things: ")
    assert json.loads(answer)["model"] == "things"


# Asks the server for a minute, as it may still be starting.
ASK = """
import base64, json, sys, time, urllib.error, urllib.request
picture = base64.b64encode(open("red.png", "rb").read()).decode()
address = f"http://127.0.0.1:{sys.argv[1]}/api/predict?model=colors"
asked = urllib.request.Request(address, json.dumps({"image": picture}).encode(), {"Content-Type": "application/json"})
end = time.monotonic() + 60
while True:
    try:
        print(json.dumps(json.load(urllib.request.urlopen(asked))))
        break
    except urllib.error.HTTPError:
        raise
    except OSError:
        if time.monotonic() > end: raise
        time.sleep(0.2)
"""
LOOPBACK = "import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh22x', b'lo', 1))"


def test_it_teaches_and_serves_without_a_network(inkling, empty, alone):
    folder, _ = empty
    for name, color in (("red", RED), ("blue", BLUE)):
        (folder / "colors" / name).mkdir(parents=True)
        for i, (source, _) in enumerate(colored(color, name, 12)):
            source.image.save(folder / "colors" / name / f"{i}.png")
    colored(RED, None, 1, seed=9)[0][0].image.save(folder / "red.png")
    (folder / "ask.py").write_text(ASK)
    python = Path(inkling).with_name("python")
    taught, answer = run_alone(
        alone,
        empty,
        f"""
        {python} -c "{LOOPBACK}"
        {inkling} models build > built
        {inkling} teach colors --name colors --json
        INKLING_HOST=127.0.0.1 PORT=5000 WEB_CONCURRENCY=1 {inkling} serve > log 2>&1 &
        trap "kill $!" EXIT
        {python} ask.py 5000 || (cat log >&2; exit 1)
        """,
    )
    assert json.loads(taught)["live"] == 1
    assert json.loads(answer)["label"] == "red"


def test_the_wheel_lists_its_models_and_classifies(inkling, empty, png, ink_model):
    folder, _ = empty
    assert ink_model in run(inkling, empty, "models")
    (folder / "one.png").write_bytes(png)
    answer = json.loads(run(inkling, empty, "classify", "one.png", "--model", ink_model, "--json"))
    assert (answer["file"], answer["label"]) == ("one.png", "1")


def test_the_wheel_reports_its_version(inkling, empty, wheel):
    assert wheel.name.split("-")[1] in run(inkling, empty, "--version")


def test_the_command_needs_no_checkout(inkling, empty):
    """The command does not import anything from this checkout."""
    folder, env = empty
    code = "import inkling, sys; print(inkling.__file__); print(*sys.path, sep='\\n')"
    output = subprocess.run(
        [Path(inkling).with_name("python"), "-c", code], cwd=folder, env=env, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert Path(output[0]).is_relative_to(Path(inkling).parents[1])
    assert str(ROOT) not in output
