"""One JSON object a line: what gunicorn and the app log."""

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)  # of the request that a thread serves

_encode = json.JSONEncoder(default=str).encode  # made once: `json.dumps` with options makes one each time


class Json(logging.Formatter):
    """A record as one object; `extra={"fields": {...}}` adds to it, and a traceback is a string in it."""

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
    """Keeps the address and the words of a client that speaks no proper HTTP out of gunicorn's warning."""

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
    "loggers": {"gunicorn.error": {"level": "INFO", "handlers": ["stderr"], "propagate": False}},
}
