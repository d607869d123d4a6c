"""Looks into PyTorch's files before PyTorch does: reading some of them runs code that is inside.

`torch.export.load` unpickles whatever an archive marks as pickled, loads compiled libraries, and
hands symbolic expressions to sympy, which evaluates them as Python. Programs of both kinds may
name operators that open files (`operators.py`).
"""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from backends.pytorch.operators import check_code, check_targets

_MOST_CODE = 64 << 20  # bytes of one file of TorchScript's code

_EXPORT_AGAIN = "export the model again with torch.export.save of a current PyTorch"
# Sums, products, comparisons and sympy's classes, such as Symbol('s77', positive=True): no
# attribute, no subscript, no free text, and none of Python's functions, which have small letters.
_EXPRESSION = re.compile(r"(?:[-+*/%(),<>=!&|~ \w]|(?<=\d)\.(?=\d)|'\w*')*")
_PYTHON = re.compile(r"__|\b[a-z_]\w*\s*\(")
# Everything that torch.export.save writes, below the archive's folder.
_NAME = re.compile(
    r"archive_format|archive_version|byteorder|version|\.data/(version|serialization_id)"
    r"|models/[\w.-]+\.json|extra/[\w.-]+|data/sample_inputs/[\w.-]+\.pt"
    r"|data/weights/(weight_\d+|[\w.-]+_weights_config\.json)"
    r"|data/constants/(tensor_\d+|[\w.-]+_constants_config\.json)",
    re.ASCII,
)


def check_archive(path: Path) -> None:
    """Raises ValueError with a sentence unless the .pt2 archive holds nothing but data."""
    with _opened(path) as archive:
        try:
            _check(archive)
        except ValueError:
            raise
        except Exception as error:  # whatever zipfile and odd JSON make of damaged bytes
            raise ValueError(f"the archive is damaged: {type(error).__name__}") from error


def check_script(path: Path) -> None:
    """Raises ValueError with a sentence unless it is a TorchScript archive that only computes."""
    with _opened(path) as archive:
        names = {name.partition("/")[2] for name in archive.namelist()}
        if "constants.pkl" not in names or not any(name.startswith("code/") for name in names):
            raise ValueError(
                "it is a checkpoint and no program; export the model with torch.export.save (.pt2)"
            )
        try:
            _check_script(archive)
        except ValueError:
            raise
        except Exception as error:
            raise ValueError(f"the archive is damaged: {type(error).__name__}") from error


def _check_script(archive: zipfile.ZipFile) -> None:
    _check_unambiguous(archive)
    for entry in archive.infolist():
        name = entry.filename.partition("/")[2].casefold()
        if name.startswith("code/") and not name.endswith(".debug_pkl"):
            if entry.file_size > _MOST_CODE:
                raise ValueError(f"{entry.filename[:80]} has more than {_MOST_CODE} bytes")
            check_code(archive.read(entry).decode())


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except OSError:
        raise
    except Exception:  # zipfile has several kinds for what is no archive or a damaged one
        raise ValueError(
            "it is neither an archive of torch.export nor TorchScript: empty, cut off, or a "
            "pickle, which is not read because it can run any code"
        ) from None


def _check(archive: zipfile.ZipFile) -> None:
    _check_unambiguous(archive)
    names = {name.partition("/")[2]: name for name in archive.namelist()}
    if "archive_format" not in names or not any(name.startswith("models/") for name in names):
        raise ValueError(f"not an archive that is known here; {_EXPORT_AGAIN}")
    for name, full in names.items():
        folder, _, file = name.rpartition("/")
        if name.startswith("data/aotinductor/") or file.endswith((".so", ".cubin")):
            raise ValueError(f"it holds compiled code, {name}; {_EXPORT_AGAIN}")
        if folder in ("data/weights", "data/constants"):
            if file.endswith(".pt"):
                raise ValueError(f"{name} is a pickle; {_EXPORT_AGAIN}")
            if file.endswith("_config.json"):
                _check_payloads(name, json.loads(archive.read(full)))
        elif folder == "data/sample_inputs":
            _check_samples(name, archive.read(full))
        elif folder == "models" and file.endswith(".json"):
            model = json.loads(archive.read(full))
            _check_expressions(model)
            check_targets(model)
        if not _NAME.fullmatch(name):
            raise ValueError(f"it holds {name[:80]!r}, which torch.export doesn't write")


def _check_unambiguous(archive: zipfile.ZipFile) -> None:
    """What is checked here must be what PyTorch reads, which finds names in any case."""
    entries = archive.infolist()
    # zipfile cuts a name off at a NUL byte, and what follows it would go unseen.
    names = [entry.orig_filename for entry in entries]
    if len({name.casefold() for name in names}) != len(names) or any("\0" in n for n in names):
        raise ValueError(f"it holds two files of one name; {_EXPORT_AGAIN}")
    if len({name.partition("/")[0] for name in names}) > 1:
        raise ValueError(f"it has more than one folder at the top; {_EXPORT_AGAIN}")


def _check_payloads(name: str, config: Any) -> None:
    for payload in config["config"].values():
        file = payload["path_name"]
        if payload.get("use_pickle") or file.startswith(("custom_obj", "opaque_obj")):
            raise ValueError(f"{name}: {file} is a pickle, which can run any code; {_EXPORT_AGAIN}")


def _check_samples(name: str, data: bytes) -> None:
    if not data:
        return
    try:
        torch.load(io.BytesIO(data), weights_only=True)
    except Exception:
        raise ValueError(f"{name} holds more than tensors; export with tensors only") from None


def _check_expressions(model: Any) -> None:
    for expression in _expressions(model):
        if _PYTHON.search(expression) or not _EXPRESSION.fullmatch(expression):
            raise ValueError(f"a dimension is {expression[:40]!r}, which is no plain formula")


def _expressions(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "expr_str":
                yield str(inner)
            else:
                yield from _expressions(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _expressions(inner)
