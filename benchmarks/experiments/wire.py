"""Generates the experiments' own protobuf classes into a temporary folder shared by all their processes."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

FOLDER = "EXPERIMENT_STUBS"
EXCHANGE = "/experiment.Backend/Exchange"
INFER = "/experiment.Backend/Infer"
OPTIONS = [
    ("grpc.max_receive_message_length", 4 << 20),
    ("grpc.max_send_message_length", 4 << 20),
    ("grpc.use_local_subchannel_pool", 1),
]


def _folder() -> str:
    """The parent generates; children find the folder in their environment."""
    if FOLDER not in os.environ:
        from grpc_tools import protoc

        here = Path(__file__).parent
        folder = tempfile.mkdtemp(prefix="experiment-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        if protoc.main(["protoc", f"-I{here}", f"--python_out={folder}", "wire.proto"]):
            raise RuntimeError("protoc failed")
        os.environ[FOLDER] = folder
    return os.environ[FOLDER]


sys.path.insert(0, _folder())
from wire_pb2 import Call, Part, ReplyFrame, RequestFrame  # noqa: E402

__all__ = ["EXCHANGE", "INFER", "OPTIONS", "Call", "Part", "ReplyFrame", "RequestFrame"]
