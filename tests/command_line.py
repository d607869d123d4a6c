"""Penstock's command line within the tests' process, where all that it imports is already.

A process of its own takes a second of processor time; test_cli.py and what is run of deploy/ show
that it is the same.
"""

import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from subprocess import CompletedProcess
from unittest.mock import patch

from gateway.cli import main


def penstock(*arguments: str) -> CompletedProcess[str]:
    """What `penstock` with these arguments says, and its exit status."""
    out, err = StringIO(), StringIO()
    status = 0
    with (
        redirect_stdout(out),
        redirect_stderr(err),
        patch.object(sys, "argv", ["penstock", *arguments]),
        patch.dict(os.environ, COLUMNS="200"),
    ):
        try:
            main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
    return CompletedProcess(arguments, status, out.getvalue(), err.getvalue())
