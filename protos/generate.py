"""Regenerates the committed stubs: `python -m protos.generate [FOLDER]` (make protos)."""

import re
import sys
from pathlib import Path

from grpc_tools import protoc  # type: ignore[import-untyped]

HERE = Path(__file__).parent
FILES = ("open_inference", "exchange", "discovery")


def generate(folder: Path) -> None:
    """Writes the message and service modules of every .proto file to `folder/protos`."""
    arguments = ["protoc", f"--proto_path={HERE.parent}", f"--python_out={folder}"]
    arguments += [f"--pyi_out={folder}", f"--grpc_python_out={folder}"]
    if protoc.main([*arguments, *(f"protos/{name}.proto" for name in FILES)]) != 0:
        raise SystemExit("protoc failed; see its message above")
    for name in FILES:
        module = folder / "protos" / f"{name}_pb2.py"
        text = module.read_text()
        # See protos/pool.py for the reason.
        text = text.replace(
            "from google.protobuf import descriptor_pool as _descriptor_pool\n",
            "from protos.pool import POOL as _POOL\n",
        )
        text, count = re.subn(r"_descriptor_pool\.Default\(\)", "_POOL", text)
        if count != 1:
            raise SystemExit(f"{module}: protoc's output has a new form; adapt protos/generate.py")
        module.write_text(text)


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent)
