"""Records what an operator does with a command, in a process that has no audit log of its own."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from gateway.audit.chain import Chain
from gateway.audit.seal import read_seal
from gateway.config import Config
from protos.errors import Kind, PenstockError


@contextmanager
def recorded(config: Config, what: str, **facts: Any) -> Iterator[None]:
    """What is done within is on record before, and a second time if it fails.

    Raises UNAVAILABLE when it can't be recorded, and then nothing is done.
    """
    settings = config.audit
    chain = Chain(
        config.audit_folder,
        "command",
        read_seal(settings.key_file),
        segment_bytes=settings.segment_bytes,
        segment_time=settings.segment_time,
    )
    try:
        chain.append([{"at": time.time(), "what": what, **facts}])
    except OSError as failure:
        why = failure.strerror or type(failure).__name__
        raise PenstockError(
            Kind.UNAVAILABLE,
            f"{config.audit_folder}: {why}, and nothing is done without an audit record",
        ) from failure
    try:
        yield
    except BaseException as error:
        kind = error.kind.name if isinstance(error, PenstockError) else type(error).__name__
        with suppress(OSError):
            chain.append([{"at": time.time(), "what": f"{what}.failed", **facts, "error": kind}])
        raise
    finally:
        with suppress(OSError):  # whoever verifies sees that the end is missing
            chain.close()
