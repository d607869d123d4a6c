"""Processes that we start don't outlive us, however we end."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
# Loaded before any fork: after it, a child may not allocate or import safely.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with(parent: int) -> None:
    """Called in a new process: has it killed as soon as `parent`, its parent's id, has ended.

    Without Linux it does nothing. The parent may have ended before the kernel was asked.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
