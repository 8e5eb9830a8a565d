"""Fuzzes everything that reads untrusted input: `make fuzz`.

    python -m tools.fuzz [--seconds 300] [--targets files,texts,cards,api] [--corpus FOLDER]

Atheris (libFuzzer for Python) mutates inputs so that they reach new lines of `inkling`. Each target gets an equal share
of the time, in a series of short processes, because the instrumentation of Atheris leaks memory (0.7 MB per `GET
/lab`). The docstring of a target says which outcomes are allowed. Any other outcome, a crash, more than ten seconds or
more than 2 GB is a finding: the input is saved, its folder is printed, and the command fails. `--again TARGET FILE`
replays a saved input. A finding becomes a case in tests/hostile. If the corpus is kept in a folder, the next run
continues from it.
"""

import argparse
import base64
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

import atheris

from inkling import problems
from inkling.recognition.card import read_card

with atheris.instrument_imports(include=["inkling"]):
    from inkling.config import ROOT, Settings
    from inkling.pictures import reading
    from inkling.pictures.budget import Budget
    from inkling.pictures.formats import EXTENSIONS, MEDIA_TYPES
    from inkling.web.app import create_app

SETTINGS = Settings.from_env({}).replace(max_bytes=200_000, max_pixels=250_000, max_frames=5, rate_limit=0)
SECONDS = SETTINGS.request_seconds
SLOW, MEGABYTES, LONGEST = 10, 2048, 8192  # seconds for one input, memory of the process, bytes of one input
TURN = 30  # seconds of one process: on an idle machine, Atheris leaks 2 GB per minute
DONE = re.compile(r"^Done (\d+) runs in (\d+) second", re.MULTILINE)
MODELS = ["digits-logistic", "cats-dogs-cnn", "none"]
FIELDS = ["top", "step", "photo", "reason", "1.low", "result"]
SHARED = "/dev/shm" if Path("/dev/shm").is_dir() else None


def files():
    """A named file. Allowed: an RGB picture within the limits, or `Problem` with a known reason."""

    def one(data: bytes) -> None:
        name = f"a.{EXTENSIONS[data[0] % len(EXTENSIONS)]}" if data else ""
        _picture(lambda: reading.read_file(data[1:], name, SETTINGS, Budget(SECONDS)))

    return one


def texts():
    """A data URL or base64. Allowed: as for `files`."""

    def one(data: bytes) -> None:
        text = data.decode("utf-8", "surrogateescape")
        _picture(lambda: reading.read_data_url(text, SETTINGS, Budget(SECONDS)))
        _picture(lambda: reading.read_base64(text, SETTINGS, Budget(SECONDS)))

    return one


def cards():
    """The card.json of a model. Allowed: a card, or a ValueError with a short message."""
    folder = Path(tempfile.mkdtemp(), "digits-cnn")
    folder.mkdir()

    def one(data: bytes) -> None:
        (folder / "card.json").write_bytes(data)
        try:
            card = read_card(folder)
        except ValueError as error:
            expect(len(str(error)) < 1000, error)
        else:
            expect(len(card.labels) >= 2, card)

    return one


def api():
    """A request to the app. Allowed: any status below 500, or any with Retry-After."""
    app = create_app(SETTINGS.replace(pictures=Path(tempfile.mkdtemp())))
    client = app.test_client()
    rules = sorted((method, one.rule) for one in app.url_map.iter_rules() for method in one.methods & {"GET", "POST"})
    types = ["multipart/form-data; boundary=edge", "application/json", "application/x-www-form-urlencoded", "text/css"]

    def one(data: bytes) -> None:
        source = atheris.FuzzedDataProvider(data)
        method, rule = source.PickValueInList(rules)
        path = re.sub(r"<[^>]+>", lambda _: quote(source.ConsumeBytes(22), safe="") or "a", rule)
        model, field = source.PickValueInList(MODELS), source.PickValueInList(FIELDS)
        answer = client.open(
            path,
            method=method,
            query_string=f"model={model}&{field}={quote(source.ConsumeBytes(20))}",
            content_type=source.PickValueInList(types),
            data=source.ConsumeBytes(LONGEST),
        )
        expect(answer.status_code < 500 or "Retry-After" in answer.headers, (method, path, answer.status))

    return one


def _picture(read) -> None:
    try:
        image = read()
    except problems.Problem as error:
        expect(error.reason in problems.REASONS, error.reason)
        expect(error.received.isprintable(), error.received)
    else:
        expect(image.mode == "RGB", image.mode)
        expect(image.width * image.height <= SETTINGS.max_pixels, image.size)


def expect(holds: bool, found: object) -> None:
    """Raises AssertionError, a finding, unless the expectation holds."""
    if not holds:
        raise AssertionError(found)


def _form(data: bytes) -> bytes:
    head = b'--edge\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    return head + data + b"\r\n--edge--\r\n"


def seeds(target: str) -> list[bytes]:
    """Valid inputs to start from."""
    from PIL import Image
    from pillow_heif import register_heif_opener

    register_heif_opener()
    pictures = []
    for extension in EXTENSIONS:
        file = io.BytesIO()
        Image.linear_gradient("L").resize((24, 16)).convert("RGB").save(file, MEDIA_TYPES[f"image/{extension}"])
        pictures.append(file.getvalue())
    encoded = [base64.b64encode(data) for data in pictures]
    return {
        "files": [bytes([i]) + data for i, data in enumerate(pictures)],
        "texts": encoded
        + [f"data:image/{name};base64,".encode() + text for name, text in zip(EXTENSIONS, encoded, strict=True)],
        "cards": [path.read_bytes() for path in (ROOT / "models").glob("*/card.json")],
        "api": [_form(data) for data in pictures] + [json.dumps({"image": text.decode()}).encode() for text in encoded],
    }[target]


TARGETS = {"files": files, "texts": texts, "cards": cards, "api": api}


def fuzz(target: str, seconds: int, corpus: Path) -> None:
    """Fuzzes one target in this process; libFuzzer ends the process."""
    one = TARGETS[target]()

    def keep(data: bytes) -> None:
        try:
            one(data)
        except BaseException:
            Path(corpus.parent, f"{target}-finding-{hashlib.sha256(data).hexdigest()[:12]}").write_bytes(data)
            raise

    for i, seed in enumerate(seeds(target)):
        (corpus / f"seed-{i}").write_bytes(seed)
    atheris.Setup(
        [
            sys.argv[0],
            f"-max_total_time={seconds}",
            f"-timeout={SLOW}",
            f"-rss_limit_mb={MEGABYTES}",
            f"-max_len={LONGEST}",
            f"-artifact_prefix={corpus.parent}/{target}-",
            str(corpus),
        ],
        keep,
    )
    atheris.Fuzz()


def turns(target: str, seconds: int, root: Path) -> bool:
    """Fuzzes one target in a series of processes and prints the number of inputs; returns False after a finding."""
    (root / target).mkdir(parents=True, exist_ok=True)
    tried = taken = 0
    while taken < seconds:
        command = [
            sys.executable,
            "-m",
            "tools.fuzz",
            "--one",
            target,
            "--seconds",
            str(min(TURN, seconds - taken)),
            "--corpus",
            root / target,
        ]
        with tempfile.TemporaryDirectory(dir=SHARED) as scratch:  # libFuzzer exits without cleaning up
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=os.environ | {"TMPDIR": scratch},
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            )
        count = DONE.search(done.stderr)
        if done.returncode or not count:
            print(done.stderr[-5000:], file=sys.stderr)
            print(f"{target}: a finding after {tried:,} inputs, saved in {root}", flush=True)
            return False
        tried, taken = tried + int(count[1]), taken + max(1, int(count[2]))
    print(f"{target}: {tried:,} inputs in {taken} s", flush=True)
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=300, help="time for all targets together (default 300)")
    parser.add_argument("--targets", default=",".join(TARGETS), help=f"default {','.join(TARGETS)}")
    parser.add_argument("--corpus", type=Path, help="folder for inputs that reach new code, and for findings")
    parser.add_argument("--again", nargs=2, metavar=("TARGET", "FILE"), help="replay one input, such as a finding")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.again:
        target, file = arguments.again
        TARGETS[target]()(Path(file).read_bytes())
        return
    if arguments.one:
        fuzz(arguments.one, arguments.seconds, arguments.corpus)
    root = arguments.corpus or Path(tempfile.mkdtemp(prefix="inkling-fuzz-"))
    targets = arguments.targets.split(",")
    failed = [target for target in targets if not turns(target, max(1, arguments.seconds // len(targets)), root)]
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
