"""Starts a PostgreSQL server, and hands out databases on it."""

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

PROGRAMS = Path("/usr/lib/postgresql")  # Debian's: a folder for each version
USER = "inkling"
# Nothing of a test has to survive a power cut.
OPTIONS = ("fsync=off", "full_page_writes=off", "max_connections=200")


def find() -> Path | None:
    """The folder of the newest server's programs."""
    found = [folder / "bin" for folder in PROGRAMS.glob("*") if (folder / "bin" / "initdb").exists()]
    return max(found, key=lambda folder: float(folder.parent.name), default=None)


@contextmanager
def running(address: str = "") -> Iterator["Server"]:
    """A running server. A test that needs one where none is installed is skipped, and fails in CI."""
    if not find():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("PostgreSQL is not installed")
    folder = Path(tempfile.mkdtemp(prefix="inkling-postgres-"))  # pytest's own folders are closed to other users
    try:
        server = Server(folder, address)
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder)


class Server:
    """A PostgreSQL server whose data lie in a folder. It listens on a socket there, and at an address if one is given.

    PostgreSQL refuses to run as root: then it runs as Debian's user for it, to whom the folder is given.
    """

    def __init__(self, folder: Path, address: str = ""):
        programs = find()
        assert programs
        self._programs, self._folder, self._address = programs, folder, address
        self._names = map("test_{}".format, itertools.count())
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        self._run("initdb", "--username", USER, "--auth", "trust", "--no-sync", "--locale", "C.UTF-8")
        if address:
            with (folder / "data" / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {address}/24 trust\n")
        self.start()

    def start(self) -> None:
        settings = [*OPTIONS, f"listen_addresses={self._address}", f"unix_socket_directories={self._folder}"]
        given = " ".join(f"-c {setting}" for setting in settings)
        self._run("pg_ctl", "start", "--wait", "--log", str(self._folder / "log"), "--options", given)

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "stop", "--wait", "--mode", mode)

    def url(self, name: str) -> str:
        """The address of a database, as INKLING_DATABASE_URL takes it."""
        return f"postgresql+psycopg://{USER}@/{name}?host={self._address or self._folder}"

    def execute(self, statement: str, name: str = "postgres") -> list[tuple]:
        """Executes a statement outside of a transaction; returns its rows."""
        with psycopg.connect(host=self._folder, user=USER, dbname=name, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def database(self, template: str = "template1") -> Iterator[str]:
        """A new database, as its URL; it is dropped at the end, whoever is connected."""
        name = next(self._names)
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _run(self, program: str, *arguments: str) -> None:
        command: Sequence[str] = (str(self._programs / program), "--pgdata", str(self._folder / "data"), *arguments)
        if os.geteuid() == 0:
            command = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command)
        done = subprocess.run(
            command, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        if done.returncode:
            log = self._folder / "log"
            pytest.fail(f"{program}: {done.stderr[-2000:]}\n{log.read_text()[-2000:] if log.exists() else ''}")
