"""Builds and tries the Dockerfile on a machine without Docker: `python -m tools.try_dockerfile /var/tmp/tree`.

It runs the Dockerfile's steps in a Debian tree, starts the server there and sends it two pictures. It needs root,
debootstrap, 2 GB of disk and some minutes.

Debian's own Python replaces that of the base image, so its minor version must be the same. RUN, COPY, ENV, WORKDIR,
USER, CMD and HEALTHCHECK come from the Dockerfile; each stage is a copy of the tree. The server runs on a read-only
root as the Dockerfile's user. Only the volumes, /tmp and /dev/shm are writable, as in deploy/compose.yaml.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from inkling.config import ROOT

RELEASES = {"bookworm": "3.11", "trixie": "3.13"}  # Debian -> its Python
PACKAGES = "python3,python3-venv,ca-certificates"
MOST_MB = 600
SECONDS = 60  # that the server may take to start


@dataclass
class Stage:
    """A build stage: its tree, and what its steps have set."""

    root: Path
    env: dict[str, str] = field(default_factory=lambda: {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"})
    folder: str = "/"
    user: str = "0:0"
    last: dict[str, str] = field(default_factory=dict)  # instruction -> its latest arguments

    def run(self, command: list[str], user: str = "0:0") -> None:
        print("  ", shlex.join(command)[:160], flush=True)
        subprocess.run(self.inside(command, user), check=True)

    def inside(self, command: list[str], user: str) -> list[str]:
        given = [f"{name}={value}" for name, value in self.env.items()]
        return ["chroot", f"--userspec={user}", str(self.root), "env", "-i", f"--chdir={self.folder}", *given, *command]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path, help="folder for the Debian tree and the stages")
    tree = parser.parse_args().tree
    stages, stage = {}, None
    for instruction, rest in steps():
        if instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            stage = stages[name] = Stage(fresh(debian(tree, base), tree / f"stage-{len(stages)}"))
        carry_out(stage, instruction, rest, stages)
    size = megabytes(stage.root)
    print(f"{size} MB, of which {megabytes(debian(tree, base))} MB are Debian with Python")
    serve(stage)
    if size > MOST_MB:
        raise SystemExit(f"The image must stay below {MOST_MB} MB.")


def steps() -> list[tuple[str, str]]:
    """The Dockerfile as (instruction, arguments)."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    return [tuple(line.split(None, 1)) for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def debian(tree: Path, base: str) -> Path:
    """The tree of the base image's Debian release with its Python; built on first use."""
    python, release = re.fullmatch(r"python:(3\.\d+)\.\d+-slim-([a-z]+)@\S+", base).groups()
    if RELEASES.get(release) != python:
        raise SystemExit(f"Debian {release} has Python {RELEASES.get(release)}, and the base {python}.")
    made = tree / release
    if not made.exists():
        part = tree / f"{release}.part"
        shutil.rmtree(part, ignore_errors=True)
        subprocess.run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", release, str(part)], check=True)
        (part / "usr/local/bin/python").symlink_to("/usr/bin/python3")
        for unused in ("var/lib/apt/lists", "var/cache/apt", "usr/share/doc", "usr/share/man", "usr/share/locale"):
            shutil.rmtree(part / unused)  # as the slim images do
        part.rename(made)
    return made


def fresh(source: Path, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    subprocess.run(["cp", "-a", str(source), str(to)], check=True)
    # This machine's access to the package index; the final stage does not contain it.
    for path in ("/etc/resolv.conf", "/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt"):
        if Path(path).exists():
            (to / path[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, to / path[1:])
    return to


def carry_out(stage: Stage, instruction: str, rest: str, stages: dict[str, Stage]) -> None:
    print(instruction, rest[:120], flush=True)
    stage.last[instruction] = rest
    if instruction == "RUN":
        given = {name: os.environ[name] for name in os.environ if name.startswith("PIP_")}
        stage.run(["env", *(f"{name}={value}" for name, value in given.items()), "sh", "-ec", rest])
    elif instruction == "WORKDIR":
        stage.folder = rest
        (stage.root / rest[1:]).mkdir(parents=True, exist_ok=True)
    elif instruction == "ENV":
        pairs = dict(word.split("=", 1) for word in shlex.split(rest))
        stage.env |= {name: value.replace("$PATH", stage.env["PATH"]) for name, value in pairs.items()}
    elif instruction == "USER":
        stage.user = rest
    elif instruction == "COPY":
        copy(stage, shlex.split(rest), stages)


def copy(stage: Stage, words: list[str], stages: dict[str, Stage]) -> None:
    """Copies like Docker: the contents of a folder go into the target; a target for several sources ends in a slash."""
    origin = words.pop(0).removeprefix("--from=") if words[0].startswith("--from=") else None
    *sources, target = words
    to = stage.root / os.path.join(stage.folder, target)[1:]
    for source in sources:
        path = stages[origin].root / source[1:] if origin else ROOT / source
        into = to / path.name if target.endswith("/") and path.is_file() else to
        into.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            shutil.copy2(path, into)
        else:
            shutil.copytree(path, into, symlinks=True, dirs_exist_ok=True, ignore=None if origin else ignored)


def ignored(folder: str, names: list[str]) -> set[str]:
    """The names in a folder that .dockerignore excludes."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] not in "#!"]
    paths = {name: os.path.relpath(os.path.join(folder, name), ROOT) for name in names}
    return {
        name
        for name, path in paths.items()
        if any(fnmatch(path, rule) or fnmatch(name, rule.removeprefix("**/")) for rule in rules if rule != "*")
    }


def megabytes(folder: Path) -> int:
    du = subprocess.run(["du", "-sxm", str(folder)], check=True, capture_output=True, text=True)
    return int(du.stdout.split()[0])


def serve(stage: Stage) -> None:
    """Runs CMD with a read-only root in a separate mount namespace, and waits until HEALTHCHECK succeeds."""
    volumes = json.loads(stage.last["VOLUME"])
    root = shlex.quote(str(stage.root))
    mounts = [f"mount --bind {root} {root}"]
    mounts += [f"mkdir -p {root}{path} && mount --bind {root}{path} {root}{path}" for path in volumes]
    mounts += [
        f"mount -t proc proc {root}/proc",
        f"mount -t tmpfs -o mode=1777 tmpfs {root}/tmp",
        f"mkdir -p {root}/dev/shm && mount -t tmpfs -o mode=1777 tmpfs {root}/dev/shm",
        f"mount -o remount,bind,ro {root}",
    ]
    check = stage.last["HEALTHCHECK"]
    command, health = json.loads(stage.last["CMD"]), json.loads(check[check.index("[") :])
    script = f"""
      {" && ".join(mounts)} || exit 3
      if chroot {root} touch /written 2>/dev/null; then exit 4; fi
      {shlex.join(stage.inside(command, stage.user))} & server=$!
      for second in $(seq {SECONDS}); do
        sleep 1
        if {shlex.join(stage.inside(health, stage.user))} 2>/dev/null; then answered=$second; break; fi
      done
      {shlex.join(stage.inside(["python", "-c", ASK], stage.user))} || answered=
      kill $server; wait $server
      echo "ended with $?, had answered after ${{answered:?no answer}} s"
    """
    start = time.monotonic()
    subprocess.run(["unshare", "--mount", "bash", "-c", script], check=True)
    print(f"started, asked and ended in {time.monotonic() - start:.0f} s")


ASK = """
import http.client, io, json, os
from PIL import Image, ImageDraw
image = Image.new("RGB", (280, 280), "white")
ImageDraw.Draw(image).line([(140, 60), (140, 220)], "black", 14)
file = io.BytesIO()
image.save(file, "PNG")
edge = {"Content-Type": "multipart/form-data; boundary=edge"}
def ask(path, fields):
    body = b"".join(f'--edge\\r\\nContent-Disposition: form-data; name="{k}"\\r\\n\\r\\n{v}\\r\\n'.encode()
                    for k, v in fields.items())
    body += b'--edge\\r\\nContent-Disposition: form-data; name="image"; filename="a.png"\\r\\n\\r\\n' + file.getvalue()
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["PORT"]), timeout=60)
    connection.request("POST", path, body + b"\\r\\n--edge--\\r\\n", edge)
    answer = connection.getresponse()
    return answer.status, answer.read()
status, body = ask("/api/predict?model=digits-cnn", {})
print(status, json.loads(body)["label"])
kept, _ = ask("/predict", {"model": "digits-cnn"})
print(kept, os.listdir(os.environ["INKLING_PICTURES"]), "as user", os.getuid())
raise SystemExit((status, kept) != (200, 303))
"""


if __name__ == "__main__":
    main()
