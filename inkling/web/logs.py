"""Log lines of gunicorn and the app: one JSON object each."""

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)  # of the request that this thread serves

_encode = json.JSONEncoder(default=str).encode  # `json.dumps` with options would create an encoder for each line


class Json(logging.Formatter):
    """Formats a record as one JSON object; `extra={"fields": {...}}` adds fields, a traceback becomes a string."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "pid": record.process,
            "message": record.getMessage(),
        }
        if id := request_id.get():
            line["request_id"] = id
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return _encode(line)


class Anonymous(logging.Filter):
    """Removes the client's address and bytes from gunicorn's warning about invalid HTTP."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.getMessage().startswith("Invalid request from ip="):
            record.msg, record.args = "Invalid request", ()
        return True


CONFIG = {  # for logging.config.dictConfig
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": Json}},
    "filters": {"anonymous": {"()": Anonymous}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["anonymous"]}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": ["stderr"], "propagate": False},
        "httpx": {"level": "WARNING"},  # it would log each address that is asked, and some hold a secret
    },
}
