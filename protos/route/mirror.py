"""Shadow traffic of a route, and how its answers are compared."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from protos.route.match import Name, Version
from protos.settings import Settings
from protos.shares import Share

Kind = Literal["auto", "tensor", "label", "scores", "json", "text", "tokens"]
Percent = Annotated[float, Field(ge=0, le=100)]

_POINTER = re.compile(r"(/([^~/]|~[01])*)+")


def _pointer(text: str) -> str:
    if not _POINTER.fullmatch(text):
        raise ValueError("a JSON Pointer is written such as /items/*/price, with ~1 for / in names")
    return text


Pointer = Annotated[str, AfterValidator(_pointer)]


class Compare(Settings):
    """How two answers are compared.

    - `tensor`: every element within `atol + rtol * |primary|`; max error and cosine beside it;
    - `label`: the index of the largest element (or the BYTES label) is the same; top `topK`;
    - `scores`: the drift of the distributions (KS, PSI), an element within `atol`, `rtol`;
    - `json`: BYTES that hold JSON, field by field but those in `ignore` (JSON Pointers, RFC 6901,
      and `*` for any index of an array);
    - `text`: BYTES as text, equal, or within `maxEdit` of its length in edits;
    - `tokens`: streamed text, part by part and as a whole;
    - `auto`: by the outputs: floats as tensor, one score vector as label, BYTES as json or text.

    `output` names the output that is compared (none: all). `noiseFloor` names the arm that is asked
    a second time, on `noiseSample` of the mirrored requests, to learn how much it differs from
    itself. `payloads` keeps the answers of the worst pairs, redacted; without a privacy policy that
    redacts, none are kept.
    """

    kind: Kind = "auto"
    output: str = Field(default="", max_length=256)
    atol: float = Field(default=1e-5, ge=0)
    rtol: float = Field(default=1e-4, ge=0)
    top_k: int = Field(default=1, ge=1, le=1000)
    ignore: tuple[Pointer, ...] = ()
    max_edit: Share = 0.0
    noise_floor: Name | None = None
    noise_sample: Share = 0.5
    payloads: bool = False


class Mirror(Settings):
    """Copies `percent` of the requests to a model version whose answers nobody waits for.

    `backend` is the name that reports use. At most `maxInFlight` copies are under way in a worker;
    beyond that they are dropped and counted.
    """

    backend: Name
    model: str = Field(min_length=1, max_length=256)
    version: Version = ""
    percent: Percent
    max_in_flight: int = Field(default=32, ge=1, le=4096)
    compare: Compare = Compare()
