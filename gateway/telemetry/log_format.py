"""The process's log as lines of JSON, or of text for people."""

import logging
from datetime import UTC, datetime

import orjson

from gateway.telemetry.settings import LogFormat
from protos import log_writer


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
        try:
            return orjson.dumps(said).decode()
        except TypeError:  # half of a pair of surrogates, such as a file's name may have
            return orjson.dumps({name: _readable(text) for name, text in said.items()}).decode()


def timestamp(wall: float) -> str:
    """RFC 3339, in UTC and milliseconds; of Unix seconds."""
    told = datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds")
    return told.replace("+00:00", "Z")


def _readable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def configure(format_: LogFormat) -> log_writer.LogWriter:
    """Sets up the root logger of a process; the result writes to standard error."""
    json = format_ == "json"
    return log_writer.configure(JsonFormatter() if json else log_writer.text_formatter())
