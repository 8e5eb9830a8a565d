"""The audit log: who changed or deleted what, as one JSON object a line, if INKLING_AUDIT_LOG names a file.

It holds ids and clients' addresses, but no picture, file name, label or secret.
"""

import json
import logging
import os
from datetime import UTC, datetime

from inkling.config import Settings

COMMAND_LINE = "command line"

log = logging.getLogger("inkling.audit")


def note(settings: Settings, action: str, who: str, **what: object) -> None:
    """Adds a line. What cannot be written is logged as an error, and stops nobody.

    Args:
        action: a view's endpoint, or a command.
        who: the owner's name, "visitor", or `COMMAND_LINE`.
        what: ids of what was changed, and more about the request.
    """
    if not settings.audit_log:
        return
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = json.dumps({"time": now, "action": action, "who": who, **what}) + "\n"
    try:
        # Opened for each line, so that the file can be moved away; one write, so that lines of processes do not mix.
        descriptor = os.open(settings.audit_log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        log.error("the audit log %s cannot be written: %s", settings.audit_log, error.strerror)
