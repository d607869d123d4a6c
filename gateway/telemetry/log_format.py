"""The process's log as lines of JSON, or of text for people."""

import logging
from datetime import UTC, datetime

import orjson

from gateway.telemetry.settings import LogFormat

TEXT = "%(levelname)s %(name)s: %(message)s"


class JsonFormatter(logging.Formatter):
    """One object a line: `time`, `level`, `logger`, `message`, and `exception` if there was one."""

    def format(self, record: logging.LogRecord) -> str:
        said = {
            "time": timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(said).decode()


def timestamp(wall: float) -> str:
    """RFC 3339, in UTC and milliseconds; of Unix seconds."""
    told = datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds")
    return told.replace("+00:00", "Z")


def configure(format_: LogFormat) -> None:
    """Sets up the root logger of a process, which writes to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if format_ == "json" else logging.Formatter(TEXT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
