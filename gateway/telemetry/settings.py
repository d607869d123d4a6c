"""`telemetry.logs:` in `penstock.yaml`."""

from typing import Literal

from protos.settings import Settings
from protos.shares import Share, share

LogFormat = Literal["json", "text"]


class LogSettings(Settings):
    """How the log is written, to standard error; `sample` is the share of requests that are told.

    Those that fail, and those that take longer than `telemetry.slow`, are told all the same.
    """

    format: LogFormat = "json"
    sample: Share = share("1%")
