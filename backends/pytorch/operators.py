"""What a program may call: operators that compute, and none that reach beyond their arguments.

PyTorch's operators read and write files, too (`aten::save`, `aten::from_file`), and speak to other
machines (`c10d`). A program of either format names them freely, and TorchScript runs some of its
code while it is read, so both are looked at before PyTorch sees them.
"""

import re
from collections.abc import Iterator
from typing import Any

# Those of allowed libraries that write or read files, speak to others, or write what they are
# given into the backend's log.
_REACHING = frozenset(
    ("save", "from_file", "_print", "Print", "print", "rpc_async", "rpc_sync", "rpc_remote")
)
_LIBRARIES = frozenset(
    (
        *("aten", "prim", "prims", "quantized", "_quantized", "quantized_decomposed"),
        *("quantization", "prepacked", "xnnpack", "mkldnn", "mkldnn_prepacked", "onednn", "mkl"),
        *("sparse", "torchvision", "torchaudio"),
    )
)
# Of torch.export's operators that call parts of the program: those that its own passes make.
_HIGHER = frozenset(
    (
        *("cond", "map", "map_impl", "while_loop", "scan", "associative_scan", "out_dtype", "wrap"),
        *("wrap_with_autocast", "wrap_with_set_grad_enabled"),
        *("auto_functionalized", "auto_functionalized_v2"),
    )
)
_OPERATOR = re.compile(r"torch\.ops\.(\w+)\.(\w+)(?:\.\w+)?")
# Arithmetic on sizes.
_OF_SIZES = re.compile(r"(_operator|math)\.\w+|torch\._?(sym|check)_\w+|torch\._check")

_WORD = re.compile(
    r"\b(save|from_file|_?print|Print|_?c10d\w*|(?:dist_)?rpc|rpc_(?:async|sync|remote)|symm_mem"
    r"|inductor|aoti\w*|debugprims|_test)\b"
)
_LIBRARY = re.compile(r"\bops\b(?:\s*\.\s*(\w+))?")
_ATTRIBUTE = re.compile(r"\bgetattr\b")
_PLAIN_ATTRIBUTE = re.compile(r'\bgetattr\([\w.]+, "[^"\\]*"\)')


def check_targets(model: Any) -> None:
    """Raises ValueError for a graph of torch.export, as JSON, that calls anything else."""
    for target in _targets(model):
        found = _OPERATOR.fullmatch(target)
        if found is None:
            allowed = _OF_SIZES.fullmatch(target) is not None
        elif found[1] == "higher_order":
            allowed = found[2] in _HIGHER
        else:
            allowed = found[1] in _LIBRARIES and found[2] not in _REACHING
        if not allowed:
            raise ValueError(f"it calls {target[:80]!r}, which models may not")


def check_code(source: str) -> None:
    """Raises ValueError for TorchScript's code, as archives have it, that calls anything else.

    Words are refused wherever they stand, since there are many ways to write a call.
    """
    if (found := _WORD.search(source)) is not None:
        raise ValueError(f"its code has the word {found[1]}, which reaches beyond a model")
    for found in _LIBRARY.finditer(source):
        if found[1] not in _LIBRARIES:
            raise ValueError(f"its code uses {found[0][:80]!r}, which models may not")
    # An attribute's name may be written with escapes, though PyTorch never does.
    if len(_ATTRIBUTE.findall(source)) != len(_PLAIN_ATTRIBUTE.findall(source)):
        raise ValueError("its code has getattr in a form that PyTorch doesn't write")


def _targets(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "target" in value and "inputs" in value:
            yield str(value["target"])
        for inner in value.values():
            yield from _targets(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _targets(inner)
