"""Settings, read from the environment once, and the folders that hold Inkling's files.

`Settings` declares each setting with its default, its bounds and its help text. `rows()` lists them for the
documentation's table, which `tools.reference` writes.
"""

import importlib.util
import ipaddress
import math
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self, get_args, get_origin
from urllib.parse import urlsplit

from annotated_types import Ge, Le
from pydantic import BeforeValidator, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent  # of a checkout
PILLOW_PIXELS = 89_478_485  # Pillow warns of a decompression bomb above this size
ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:\d{1,5})?")  # as browsers write it
HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]")  # a name or an address, without a port
BROKER = re.compile(
    r"mqtts?://([^\s/@]+@)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?(/[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*)?/?"
)
HEADER = re.compile(r"[A-Za-z0-9-]+")
# The address of a server, without a password and a query.
SERVER = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?(/[\w.~%/-]*)?", re.ASCII)
COMPLETIONS = "/chat/completions"  # what clients of OpenAI's protocol add to a server's address
MAIL = re.compile(r"[\w.+-]+@[\w.-]+", re.ASCII)
BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w.-]+)*/?", re.ASCII)
CONTACT = re.compile(rf"https://[^\s<>\"]+|mailto:{MAIL.pattern}", re.ASCII)
TOKEN = "INKLING_TOKEN"  # for commands that ask another Inkling; no setting, because a server does not need it
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class BadSetting(ValueError):
    """A setting has an unusable value; the message names the variable, what it accepts and what it received."""


# ---- Folders ----


def installed() -> bool:
    """True if this package comes from a wheel, which holds templates, static files and models inside the package."""
    return (PACKAGE / "templates").is_dir()


def resources() -> Path:
    """Folder that holds `templates`, `static` and `models`: the package, or a checkout's root."""
    return PACKAGE if installed() else ROOT


def home() -> Path:
    """Folder that relative paths in settings start from: the current folder, or a checkout's root."""
    return Path.cwd() if installed() else ROOT


# ---- Values ----


@dataclass(frozen=True)
class Accepts:
    """Says which values a type accepts, for error messages and the documentation."""

    text: str


def _folder(value: str | Path) -> Path:
    if str(value) in ("", ".") or str(value).startswith("~"):
        raise ValueError
    return home() / value


def _file(value: str | Path | None) -> Path | None:
    return _folder(value) if value else None


def _secret(value: str) -> str:
    if value and len(value) < 16:
        raise ValueError
    return value


def _networks(value: str | tuple[Network, ...]) -> tuple[Network, ...]:
    if isinstance(value, tuple):
        return value
    return tuple(ipaddress.ip_network(part.strip()) for part in value.split(",") if part.strip())


def _origins(value: str | tuple[str, ...]) -> tuple[str, ...]:
    if isinstance(value, tuple):
        return value
    origins = tuple(part.strip() for part in value.split(",") if part.strip())
    if not all(map(ORIGIN.fullmatch, origins)):
        raise ValueError
    return origins


def _hosts(value: str | tuple[str, ...]) -> tuple[str, ...]:
    if isinstance(value, tuple):
        return value
    hosts = tuple(part.strip().lower() for part in value.split(",") if part.strip())
    if not all(map(HOST.fullmatch, hosts)):
        raise ValueError
    return tuple(host.strip("[]") for host in hosts)


def _header(value: str) -> str:
    if value and not HEADER.fullmatch(value):
        raise ValueError
    return value


def _contact(value: str) -> str:
    if not value or CONTACT.fullmatch(value):
        return value
    if MAIL.fullmatch(value):
        return f"mailto:{value}"
    raise ValueError


def _ray_address(value: str) -> str:
    host, _, port = value.rpartition(":")
    if value and not (HOST.fullmatch(host) and port.isdecimal()):
        raise ValueError
    return value


def _mqtt_url(value: str) -> str:
    if value and not (BROKER.fullmatch(value) and importlib.util.find_spec("paho")):
        raise ValueError
    return value


def _redis_url(value: str) -> str:
    if value and not value.startswith(("redis://", "rediss://", "redis+unix://")):
        raise ValueError
    return value


def database_url(value: str) -> str:
    """The URL of a database as SQLAlchemy takes it.

    Raises:
        ValueError: it names neither an SQLite file nor a PostgreSQL server, or the latter's driver is not installed.
    """
    if value:
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import SQLAlchemyError

        try:
            url = make_url(value)
            if url.drivername in ("postgres", "postgresql"):  # as other programs write it
                url = url.set(drivername="postgresql+psycopg")
            if url.drivername not in ("sqlite", "postgresql+psycopg"):
                raise ValueError
            url.get_dialect().import_dbapi()
        except (SQLAlchemyError, ImportError) as error:
            raise ValueError from error
        return url.render_as_string(hide_password=False)
    return value


def blobs_url(value: str) -> str:
    """The address of a bucket, as it is.

    Raises:
        ValueError: it is none, or boto3 is not installed.
    """
    if value and not (BUCKET.fullmatch(value) and importlib.util.find_spec("boto3")):
        raise ValueError
    return value


def _chat_url(value: str) -> str:
    if value and not SERVER.fullmatch(value):
        raise ValueError
    return value.rstrip("/").removesuffix(COMPLETIONS)


def _empty_is_none(value: str | None) -> str | None:
    return value or None


Folder = Annotated[Path, BeforeValidator(_folder), Accepts("the path of a folder, without ~")]
OptionalFile = Annotated[Path | None, BeforeValidator(_file), Accepts("empty or the path of a file, without ~")]
Secret = Annotated[str, BeforeValidator(_secret), Accepts("empty or at least 16 characters")]
Networks = Annotated[
    tuple[Network, ...],
    NoDecode,  # pydantic-settings would expect JSON
    BeforeValidator(_networks),
    Accepts("addresses or networks with commas between, such as 127.0.0.1,10.0.0.0/8"),
]
Origins = Annotated[
    tuple[str, ...],
    NoDecode,
    BeforeValidator(_origins),
    Accepts("origins with commas between, such as https://example.org,http://localhost:8000"),
]
Hosts = Annotated[
    tuple[str, ...],
    NoDecode,
    BeforeValidator(_hosts),
    Accepts("names or addresses without ports, with commas between, such as inkling.example.org,127.0.0.1,[::1]"),
]
HeaderName = Annotated[
    str,
    BeforeValidator(_header),
    Accepts("empty or the name of a header, of letters, digits and hyphens"),
]
Contact = Annotated[
    str,
    BeforeValidator(_contact),
    Accepts("empty, a mail address or an address that begins with https://"),
]
RayAddress = Annotated[
    str,
    BeforeValidator(_ray_address),
    Accepts("empty or a host and a port, such as 10.0.0.5:6379"),
]
MqttURL = Annotated[
    str,
    BeforeValidator(_mqtt_url),
    Accepts("empty or the URL of a broker, such as mqtt://name:password@host:1883, with the extra [mqtt] installed"),
]
RedisURL = Annotated[
    str,
    BeforeValidator(_redis_url),
    Accepts("empty or the URL of a Redis server, such as redis://localhost:6379/0"),
]
DatabaseURL = Annotated[
    str,
    BeforeValidator(database_url),
    Accepts(
        "empty, the URL of an SQLite file such as sqlite:////var/lib/inkling.sqlite3, or that of a PostgreSQL server "
        "such as postgresql://user:password@host/name, with the extra [postgres] installed"
    ),
]
BlobsURL = Annotated[
    str,
    BeforeValidator(blobs_url),
    Accepts("empty or the address of a bucket, such as s3://bucket/prefix, with the extra [s3] installed"),
]
ChatURL = Annotated[
    str,
    BeforeValidator(_chat_url),
    Accepts("empty or the address of a server, such as http://127.0.0.1:11434/v1"),
]
Stripped = Annotated[str, BeforeValidator(str.strip), Accepts("any text")]
Port = Annotated[
    Annotated[int, Field(ge=1, le=65535)] | None,
    BeforeValidator(_empty_is_none),
    Accepts("empty or a whole number from 1 to 65535"),
]
Workers = Annotated[
    Annotated[int, Field(ge=1, le=256)] | None,
    BeforeValidator(_empty_is_none),
    Accepts("empty or a whole number from 1 to 256"),
]


# ---- Settings ----


class Settings(BaseSettings):
    """The settings of one app. `from_env` reads them from environment variables."""

    model_config = SettingsConfigDict(env_prefix="INKLING_", frozen=True, populate_by_name=True)

    # Where to listen
    host: str = Field(
        "",
        description="Address to listen on. Empty means `127.0.0.1`, or `0.0.0.0` if `PORT` is set.",
    )
    port: Port = Field(
        None,
        validation_alias="PORT",
        description="Port to listen on, under the name that hosting platforms use. Empty means 5000.",
    )
    web_concurrency: Workers = Field(
        None,
        validation_alias="WEB_CONCURRENCY",
        description="Number of gunicorn workers, under the name that hosting platforms use. "
        "Empty means one worker per core.",
    )

    # What to keep, and where
    models: Folder = Field(
        default_factory=lambda: resources() / "models",
        description="Folder of the trained models. By default the starter models.",
    )
    pictures: Folder = Field(
        Path("saveimages"),
        description="Folder for everything that Inkling keeps: pictures, database and key.",
    )
    data: Folder = Field(
        Path("data"),
        description="Folder of the data sets. Only training reads it.",
    )
    database_url: DatabaseURL = Field(
        "",
        repr=False,  # it may contain a password
        description="URL of the database: an SQLite file, or a PostgreSQL server that several machines share. "
        "Empty means an SQLite file in the pictures folder.",
    )
    blobs: BlobsURL = Field(
        "",
        description="Bucket of an S3 object store that keeps pictures, examples and published models. Endpoint, region "
        "and keys come from `AWS_ENDPOINT_URL`, `AWS_DEFAULT_REGION`, `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`. "
        "Empty means the pictures folder.",
    )
    secret_key: Secret = Field(
        "",
        repr=False,
        description="Key that signs the cookies of history and sign-in. Empty means a generated key, "
        "stored in a file in the pictures folder.",
    )
    audit_log: OptionalFile = Field(
        None,
        description="File to which Inkling adds a line of JSON for each change and deletion: when, who, from which "
        "address, and which ids. Empty means none.",
    )
    quota_mb: int = Field(
        2048,
        ge=0,
        le=10**8,
        description="Maximum size of pictures and database together, in MiB. "
        "Above it Inkling deletes results, the oldest of the heaviest client first. 0 means no limit.",
    )
    retention_days: int = Field(
        30,
        ge=0,
        le=36500,
        description="Days to keep a result. A result with a visitor's correction stays longer. 0 means no limit.",
    )
    teach_classifiers: int = Field(
        100,
        ge=0,
        le=10**6,
        description="Maximum number of classifiers that one owner may teach. 0 means no limit.",
    )
    teach_examples: int = Field(
        20_000,
        ge=0,
        le=10**6,
        description="Maximum number of examples of all classifiers of one owner. 0 means no limit.",
    )
    teach_mb: int = Field(
        4096,
        ge=0,
        le=10**8,
        description="Maximum size of the examples of all classifiers of one owner, in MiB; deleted ones, which are "
        "kept for a day, may take as much again. 0 means no limit.",
    )

    # How to compute
    engine: Literal["local", "ray"] = Field(
        "local",
        description="Where networks are computed: in each worker, or by the replicas of a Ray cluster "
        "(docs/operate/ray.md). Without the cluster, workers compute by themselves.",
    )
    ray_address: RayAddress = Field(
        "",
        description="Address of the Ray cluster's head. Empty means the cluster that this machine belongs to.",
    )
    ray_seconds: int = Field(
        10,
        ge=1,
        le=600,
        description="Time for a replica to answer, in seconds. After it, the worker computes the answer itself.",
    )
    runtime: Literal["openvino", "keras"] = Field(
        "openvino",
        description="Library that runs the models. `keras` serves the .keras files with TensorFlow.",
    )
    precision: Literal["auto", "f32", "bf16"] = Field(
        "auto",
        description="OpenVINO's arithmetic. `bf16` is two to seven times as fast on processors that support it, "
        "and changes answers slightly. `auto` uses it there, but `f32` for the features of taught classifiers. Models "
        "with `exact` in their card always use `f32`.",
    )
    threads: int = Field(
        0,
        ge=0,
        le=256,
        description="Threads that each worker computes with. 0 divides the cores among the workers.",
    )

    # Limits of one picture
    max_bytes: int = Field(
        16 * 2**20,
        ge=1024,
        le=2**30,
        description="Maximum size of an uploaded file, in bytes.",
    )
    max_pixels: int = Field(
        50_000_000,
        ge=1024,
        le=PILLOW_PIXELS,
        description="Maximum size of a picture: width times height, in pixels.",
    )
    max_frames: int = Field(
        1000,
        ge=1,
        le=10**6,
        description="Maximum number of frames in an animation. Inkling reads only the first frame.",
    )
    decode_seconds: int = Field(
        3,
        ge=1,
        le=60,
        description="Processor time that a sandboxed decoder may spend on one picture, in seconds.",
    )
    decode_memory: int = Field(
        1024,
        ge=128,
        le=65536,
        description="Memory that a sandboxed decoder may use, in MiB. "
        "A picture that needs more time or memory is refused as `too-large`.",
    )

    # Limits of one request, of one worker and of one client
    request_seconds: int = Field(
        4,
        ge=1,
        le=600,
        description="Time for a request to wait for its turn and decode its pictures, in seconds. "
        "Pictures that are left when it ends are refused as `late`, except a first picture that is a plain JPEG or "
        "PNG. Keep it above `INKLING_DECODE_SECONDS`, or costly pictures are refused as `late` too. "
        "On the command line each file has this much time.",
    )
    max_batch: int = Field(
        20,
        ge=1,
        le=1000,
        description="Maximum number of pictures in one upload or API request.",
    )
    zip_mb: int = Field(
        512,
        ge=1,
        le=10**5,
        description="Maximum size of a zip of examples to teach from, as it is sent and unpacked, in MiB.",
    )
    zip_files: int = Field(
        10_000,
        ge=1,
        le=10**6,
        description="Maximum number of files in a zip or a folder of examples to teach from.",
    )
    body_seconds: int = Field(
        60,
        ge=1,
        le=3600,
        description="Time for the body of a request to arrive, and for the client to read each part of the response, "
        "in seconds. A body has a second more for each 128 KiB that arrived.",
    )
    concurrent: int = Field(
        2,
        ge=1,
        le=64,
        description="Number of requests with pictures that a worker processes at once, and as many with drawings.",
    )
    queue: int = Field(
        8,
        ge=0,
        le=1000,
        description="Number of requests that wait for their turn in each worker, and as many with drawings. Others are "
        "refused as `busy`.",
    )
    rate_limit: int = Field(
        600,
        ge=0,
        le=10**6,
        description="Points that one client may use in a minute. A request that changes or computes something costs "
        "1 point, and 1 more for each further picture, each MiB and each tenth of a second of work. 0 means no limit.",
    )
    client_share: int = Field(
        50,
        ge=1,
        le=100,
        description="Share of a worker's turns, and of `INKLING_QUOTA_MB`, that one client may hold, in percent. "
        "100 means no limit.",
    )
    rate_storage: RedisURL = Field(
        "",
        repr=False,  # it may contain a password
        description="URL of a Redis server that counts these points for all workers. "
        "Empty means that each worker counts its own.",
    )

    # A language model beside the measured answers
    chat_url: ChatURL = Field(
        "",
        description="Address of a server that speaks OpenAI's protocol, up to `/v1`. Its language model answers beside "
        "the measured answers, and gets the question and the picture. Empty means none.",
    )
    chat_model: Stripped = Field(
        "",
        description="Name of the model, as that server calls it. Empty leaves the choice to the server.",
    )
    chat_key: Stripped = Field(
        "",
        repr=False,
        description="Key for that server. It is sent to no browser and never logged. Empty means none.",
    )
    chat_streams: int = Field(
        16,
        ge=1,
        le=256,
        description="Number of answers of the language model that a worker passes on at once. The next question is "
        "refused as `busy`.",
    )
    chat_client_day: int = Field(
        200,
        ge=0,
        le=10**6,
        description="Questions that one client may ask the language model in a day. 0 means no limit.",
    )
    chat_day: int = Field(
        2000,
        ge=0,
        le=10**9,
        description="Questions that all clients together may ask the language model in a day. 0 means no limit. "
        "Without `INKLING_RATE_STORAGE` each worker has its share of both numbers, and counts from its start.",
    )

    # Whom to answer: hosts' names, other sites' pages, trusted proxies and scrapers
    hosts: Hosts = Field(
        (),
        description="Names by which this server may be asked (`Host`); a request for any other gets 400, except "
        "`/healthz`, `/readyz` and `/v2/health/…`. Empty means any name.",
    )
    contact: Contact = Field(
        "",
        description="Whom visitors ask about their pictures (`/privacy`) and researchers tell about a flaw "
        "(`/.well-known/security.txt`). Empty means nobody: then there is no `security.txt`.",
    )
    cors: Origins = Field(
        (),
        description="Origins whose pages may call `/api/predict` and `/api/models`, without credentials. "
        "Empty means that only Inkling's own pages may.",
    )
    trusted_proxies: Networks = Field(
        (),
        description="Proxies whose `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Request-ID` headers Inkling trusts.",
    )
    user_header: HeaderName = Field(
        "",
        description="Header in which a trusted proxy names the user that it signed in, such as `Remote-User`. "
        "The proxy must remove the header from what clients send. The user may teach. Empty means none.",
    )
    mqtt_url: MqttURL = Field(
        "",
        repr=False,  # it may contain a password
        description="MQTT broker that gets the states of sources, for Home Assistant and others. The path "
        "of the URL is the prefix of the topics, `inkling` by default. Empty means none.",
    )
    mqtt_pictures: Literal["no", "yes"] = Field(
        "no",
        description="Whether the broker also gets the picture that changed a state. It keeps the last one.",
    )
    webhook_networks: Networks = Field(
        (),
        description="Networks that webhooks may lead to in addition to public addresses, such as `192.168.1.0/24`. "
        "Empty means public addresses only.",
    )
    metrics_from: Networks = Field(
        "127.0.0.1,::1",  # type: ignore[arg-type]  # validated like the variable, and so documented
        description="Clients that may read `/metrics`.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *_others: PydanticBaseSettingsSource,
        **_more: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leaves the environment to `from_env`, so that `Settings()` are the defaults wherever it runs."""
        return (init_settings,)

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Self:
        """Reads the settings from environment variables.

        Args:
            env: variable -> value; the process's environment by default.

        Raises:
            BadSetting: a setting does not accept its value, or no setting has the name of an INKLING_ variable.
        """
        env = os.environ if env is None else env
        known = variables()
        for variable in env:
            if variable.startswith("INKLING_") and variable not in known and variable != TOKEN:
                raise BadSetting(f"{variable} is not a setting. Known are: {', '.join(sorted(known))}.")
        source = EnvSettingsSource(cls)
        # pydantic-settings looks variables up in lower case.
        source.env_vars = {variable.lower(): env[variable] for variable in known if variable in env}
        try:
            return cls(**source())
        except ValidationError as error:
            name = error.errors()[0]["loc"][0]
            variable, field = next((v, f) for v, f in known.items() if name in (v, f))
            accepted = accepts(cls.model_fields[field])
            # The cause would repeat the values, secrets among them.
            raise BadSetting(f"{variable} must be {accepted}. Received: {env[variable]!r}") from None

    def replace(self, **changes: Any) -> Self:
        """Returns a copy with other values for some fields, without validation: `settings.replace(max_batch=3)`."""
        return self.model_copy(update=changes)

    @property
    def bind(self) -> str:
        """Address and port to listen on, as gunicorn takes it."""
        host = self.host or ("0.0.0.0" if self.port else "127.0.0.1")
        return f"{host}:{self.port or 5000}"

    @property
    def workers(self) -> int:
        """Number of gunicorn workers, with the default filled in."""
        return self.web_concurrency or cores()

    @property
    def chat_host(self) -> str:
        """Host and port of the language model's server; empty without one."""
        return urlsplit(self.chat_url).netloc

    @property
    def chat_is_here(self) -> bool:
        """Whether that server runs on this machine, so that what it is told does not leave it."""
        host = urlsplit(self.chat_url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    @property
    def sqlalchemy_url(self) -> str:
        """URL of the database, with the default filled in."""
        return self.database_url or f"sqlite:///{self.pictures / 'inkling.sqlite3'}"

    @property
    def database_connections(self) -> int:
        """The most connections that a process opens to a database server.

        A request holds one for some milliseconds, so its turns decide, and not all the threads that wait for slow
        clients. Beside them are the housekeeper, its lock, and pages.
        """
        return self.concurrent + 4


# ---- Documentation ----


class Row(NamedTuple):
    """One row of the documentation's table."""

    variable: str
    default: str  # as one would write it
    accepts: str
    help: str


def variables() -> dict[str, str]:
    """Environment variable -> name of the field in `Settings`, in the order of the documentation."""
    fields = Settings.model_fields.items()
    return {str(field.validation_alias or f"INKLING_{name.upper()}"): name for name, field in fields}


def rows() -> list[Row]:
    """One row per setting, for the documentation."""
    found = []
    for variable, name in variables().items():
        field = Settings.model_fields[name]
        default = field.get_default(call_default_factory=True)
        if isinstance(default, Path):
            default = default.name
        text = "" if default in (None, ()) else str(default)
        found.append(Row(variable, text, accepts(field), field.description or ""))
    return found


def accepts(field: FieldInfo) -> str:
    """The values that a field accepts, in words that follow "must be"."""
    for detail in field.metadata:
        if isinstance(detail, Accepts):
            return detail.text
    if get_origin(field.annotation) is Literal:
        return "one of " + ", ".join(get_args(field.annotation))
    bounds: dict[type, Any] = {type(detail): detail for detail in field.metadata}
    if Ge in bounds:
        return f"a whole number from {bounds[Ge].ge} to {bounds[Le].le}"
    return "an address"


# ---- Processor ----

QUOTA = Path("/sys/fs/cgroup/cpu.max")  # a container's share: "<microseconds or max> <period in microseconds>"


def cores() -> int:
    """Number of processor cores that this process may use; a container's fraction of a core is rounded up."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):  # no container, or no limit
        time, period = QUOTA.read_text().split()
        count = min(count, math.ceil(int(time) / int(period)))
    return count
