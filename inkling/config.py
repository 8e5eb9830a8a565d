"""Every knob, read once from the environment; a wrong value stops the start with a clear sentence."""

import ipaddress
import math
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PILLOW_PIXELS = 89_478_485  # beyond this Pillow suspects a decompression bomb, which intake refuses
EXTENSIONS = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "heic", "heif", "avif")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class BadSetting(ValueError):
    """A setting has a value that cannot be used; the message says which and what would be accepted."""


@dataclass(frozen=True)
class Setting:
    """One row of the README's table: a variable, its default as one would write it, and what it does."""

    variable: str
    default: str
    help: str
    parse: Callable[[str], object]


def whole(least: int, most: int) -> Callable[[str], int]:
    """A parser of whole numbers within bounds."""

    def parse(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return int(text)

    return parse


def one_of(*words: str) -> Callable[[str], str]:
    """A parser of a choice."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError("one of " + ", ".join(words))
        return text

    return parse


def path(text: str) -> Path:
    """A folder; a relative one lies beside app.py."""
    if not text or text.startswith("~"):
        raise ValueError("the path of a folder, without ~")
    return ROOT / text


def key(text: str) -> str:
    """A key to sign with, or nothing."""
    if text and len(text) < 16:
        raise ValueError("empty or at least 16 characters")
    return text


def networks(text: str) -> tuple[Network, ...]:
    """Addresses and networks, with commas between; none is nobody."""
    try:
        return tuple(ipaddress.ip_network(one.strip()) for one in text.split(",") if one.strip())
    except ValueError as error:
        raise ValueError("addresses or networks with commas between, such as 127.0.0.1,10.0.0.0/8") from error


def counter(text: str) -> str:
    """The URL of a Redis, or nothing."""
    if text and not text.startswith(("redis://", "rediss://", "redis+unix://")):
        raise ValueError("empty or the URL of a Redis, such as redis://localhost:6379/0")
    return text


def database(text: str) -> str:
    """An SQLAlchemy URL, or nothing."""
    if not text:
        return text
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    try:
        make_url(text).get_dialect().import_dbapi()
        return text
    except (SQLAlchemyError, ImportError) as error:
        raise ValueError(
            "empty or an SQLAlchemy URL whose driver is installed, such as sqlite:////var/lib/inkling.sqlite3"
        ) from error


SETTINGS = {
    "models": Setting("INKLING_MODELS", "models", "folder of the trained models", path),
    "pictures": Setting("INKLING_PICTURES", "saveimages", "folder that keeps what visitors sent", path),
    "database_url": Setting(
        "INKLING_DATABASE_URL", "", "SQLAlchemy URL; empty is an SQLite file in the pictures' folder", database
    ),
    "secret_key": Setting(
        "INKLING_SECRET_KEY",
        "",
        "signs the history's cookie; empty is a key made once, in a file beside the pictures",
        key,
    ),
    "quota_mb": Setting(
        "INKLING_QUOTA_MB",
        "2048",
        "MiB that pictures and database may take together; the oldest results go first; 0 is no limit",
        whole(0, 10**8),
    ),
    "retention_days": Setting(
        "INKLING_RETENTION_DAYS",
        "30",
        "days for which a result is kept, longer if a visitor said what is right; 0 is until it is deleted",
        whole(0, 36500),
    ),
    "runtime": Setting(
        "INKLING_RUNTIME",
        "openvino",
        "`openvino`, or `keras` to serve the .keras files with TensorFlow",
        one_of("openvino", "keras"),
    ),
    "precision": Setting(
        "INKLING_PRECISION",
        "f32",
        "OpenVINO's arithmetic: `f32`, or `bf16` where the processor has it, which is two "
        "to seven times as fast; answers differ a little, and models whose card says `exact` stay in `f32`",
        one_of("f32", "bf16"),
    ),
    "threads": Setting(
        "INKLING_THREADS", "0", "processor threads a worker computes with; 0 is cores / workers", whole(0, 256)
    ),
    "max_bytes": Setting("INKLING_MAX_BYTES", "16777216", "largest upload, in bytes", whole(1024, 2**30)),
    "max_pixels": Setting(
        "INKLING_MAX_PIXELS", "50000000", "largest picture, width times height", whole(1024, PILLOW_PIXELS)
    ),
    "max_frames": Setting(
        "INKLING_MAX_FRAMES", "1000", "longest animation; only its first frame is read", whole(1, 10**6)
    ),
    "decode_seconds": Setting(
        "INKLING_DECODE_SECONDS",
        "3",
        "processor seconds that a helper process may take to decode one picture",
        whole(1, 60),
    ),
    "decode_memory": Setting(
        "INKLING_DECODE_MEMORY",
        "1024",
        "megabytes that it may take; what takes more of either is `too-large`",
        whole(128, 65536),
    ),
    "request_seconds": Setting(
        "INKLING_REQUEST_SECONDS",
        "4",
        "seconds that a request has to wait for its turn and have all its pictures "
        "decoded; what needs more than is left is told `late`, but for its first picture, where that is a plain JPEG "
        "or PNG; keep it above `INKLING_DECODE_SECONDS`, else `late` is all that a costly picture is told; "
        "`flask classify` gives each file as much",
        whole(1, 600),
    ),
    "max_batch": Setting(
        "INKLING_MAX_BATCH", "20", "pictures that go together, on the page and in one API request", whole(1, 1000)
    ),
    "body_seconds": Setting(
        "INKLING_BODY_SECONDS",
        "60",
        "seconds that the body of a request may take to arrive, and a piece of its answer to be read",
        whole(1, 3600),
    ),
    "concurrent": Setting("INKLING_CONCURRENT", "2", "requests whose pictures a worker works on at once", whole(1, 64)),
    "queue": Setting(
        "INKLING_QUEUE",
        "8",
        "requests that wait for that in a worker; what comes beyond is told `busy`",
        whole(0, 1000),
    ),
    "rate_limit": Setting(
        "INKLING_RATE_LIMIT",
        "600",
        "posts a minute from one client, and looks at what is computed "
        "anew (the lab, steps, layers, other models); 0 is no limit",
        whole(0, 10**6),
    ),
    "rate_storage": Setting(
        "INKLING_RATE_STORAGE",
        "",
        "URL of a Redis that counts them for all workers; empty is each worker's memory",
        counter,
    ),
    "trusted_proxies": Setting(
        "INKLING_TRUSTED_PROXIES",
        "",
        "addresses or networks of proxies, with commas between, whose "
        "`X-Forwarded-For`, `X-Forwarded-Proto` and `X-Request-ID` are believed",
        networks,
    ),
    "metrics_from": Setting(
        "INKLING_METRICS_FROM",
        "127.0.0.1,::1",
        "addresses or networks, with commas between, that may read `/metrics`",
        networks,
    ),
}


@dataclass(frozen=True)
class Settings:
    """The settings of one app; `SETTINGS` says what each is."""

    models: Path
    pictures: Path
    database_url: str
    secret_key: str = field(repr=False)
    quota_mb: int
    retention_days: int
    runtime: str
    precision: str
    threads: int
    max_bytes: int
    max_pixels: int
    max_frames: int
    decode_seconds: float
    decode_memory: int
    request_seconds: int
    max_batch: int
    body_seconds: int
    concurrent: int
    queue: int
    rate_limit: int
    rate_storage: str = field(repr=False)  # it may hold a password
    trusted_proxies: tuple[Network, ...]
    metrics_from: tuple[Network, ...]

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> "Settings":
        """Reads `env` (the process's environment by default).

        Raises:
            BadSetting: a value is not accepted, or an INKLING_ variable is not known.
        """
        env = os.environ if env is None else env
        known = {setting.variable for setting in SETTINGS.values()} | ELSEWHERE.keys()
        for name in env:
            if name.startswith("INKLING_") and name not in known:
                raise BadSetting(f"{name} is not a setting. Known are: {', '.join(sorted(known))}.")
        values = {}
        for attribute, setting in SETTINGS.items():
            text = env.get(setting.variable, setting.default)
            try:
                values[attribute] = setting.parse(text)
            except ValueError as error:
                raise BadSetting(f"{setting.variable} must be {error}. Received: {text!r}") from error
        return cls(**values)

    @property
    def sqlalchemy_url(self) -> str:
        """The database's URL with the default filled in."""
        return self.database_url or f"sqlite:///{self.pictures / 'inkling.sqlite3'}"


# Read where they are used, not by the app: gunicorn.conf.py, training/data.py.
ELSEWHERE = {
    "PORT": "port to listen on; as platforms set it. Default 5000",
    "WEB_CONCURRENCY": "gunicorn workers; as platforms set it. Default: the number of cores",
    "INKLING_HOST": "address to listen on. Default 127.0.0.1, or 0.0.0.0 when PORT is set",
    "INKLING_DATA": "folder of the data sets to train on. Default data",
}


QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: microseconds, or "max", of each so many


def cores() -> int:
    """Processor cores that this process may use; a container's share of time is rounded up."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):  # no container, or no limit
        time, period = QUOTA.read_text().split()
        count = min(count, math.ceil(int(time) / int(period)))
    return count
