"""What a model's owner may say of it in `model.yaml`; all of it optional."""

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from protos.datatypes import DATATYPES
from protos.quantities import Duration, Size, seconds
from protos.settings import Settings
from protos.values import TensorSpec
from protos.wording import did_you_mean, quote

FILE = "model.yaml"
MAX_ROWS = 1 << 20

Positive = Annotated[int, Field(ge=1)]
Rows = Annotated[int, Field(ge=1, le=MAX_ROWS)]

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")


def name_fault(name: str) -> str | None:
    """Why this can't be a model's name, or None."""
    if name.startswith("."):
        return "names that begin with a dot are hidden and not served"
    if not _NAME.fullmatch(name):
        return "a model's name has 1 to 128 letters, digits, dots, dashes and underscores"
    return None


class Latest(Settings):
    """The highest so many versions."""

    latest: Positive


class TensorConfig(Settings):
    """An input or output as the protocol shows it: dimension 0 of a batching model is -1."""

    name: Annotated[str, Field(min_length=1)]
    datatype: str
    shape: tuple[Annotated[int, Field(ge=-1)], ...]
    optional: bool = False

    @field_validator("datatype")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in DATATYPES:
            hint = did_you_mean(value.upper(), DATATYPES)
            raise ValueError(f"there is no datatype {quote(value)}{hint}")
        return value

    def spec(self) -> TensorSpec:
        return TensorSpec(self.name, self.datatype, self.shape, optional=self.optional)


class BatchingConfig(Settings):
    """How requests are gathered.

    `max` rows: 0 turns batching off; without it, models whose tensors all have a variable first
    dimension are batched up to `signature.DEFAULT_ROWS`. `sizes` are the only numbers of rows that
    are executed, for programs that are compiled or captured for each.
    """

    max: Annotated[int, Field(ge=0, le=MAX_ROWS)] | None = None
    sizes: tuple[Rows, ...] = ()
    max_delay: Duration = seconds("2ms")
    max_queue_rows: Positive = 4096
    stall_after: Duration = seconds("4s")

    @model_validator(mode="after")
    def _ascending(self) -> "BatchingConfig":
        if list(self.sizes) != sorted(set(self.sizes)):
            raise ValueError("sizes: must ascend")
        if self.sizes and self.max is not None and self.sizes[-1] != self.max:
            raise ValueError(f"sizes: the last must be max, {self.max}")
        return self


class PadConfig(Settings):
    """Lengths to which a variable dimension is filled up, so that different lengths share a batch.

    `axes` says where the dimension is (input name to axis, counting the rows) for artifacts that
    don't name their dimensions; `values` what inputs are filled with, 0 unless said.
    """

    sizes: Annotated[tuple[Positive, ...], Field(min_length=1)]
    values: dict[str, float] = Field(default_factory=dict)
    axes: dict[str, Positive] = Field(default_factory=dict)

    @field_validator("sizes")
    @classmethod
    def _ascending(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if list(value) != sorted(set(value)):
            raise ValueError("must ascend")
        return value


class PriorityConfig(Settings):
    """1 is the highest priority; `default` holds for requests that give none."""

    levels: Annotated[int, Field(ge=1, le=100)] = 3
    default: Positive = 2

    @model_validator(mode="after")
    def _within(self) -> "PriorityConfig":
        if self.default > self.levels:
            raise ValueError(f"default: {self.default} is beyond the {self.levels} levels")
        return self


class WarmUpConfig(Settings):
    """What a model is run with before it is READY.

    `samples` is an .npz file in the model's folder with one array for each input; otherwise `data`
    is made up. `lengths` gives sizes for variable dimensions, by symbol or as "input.axis".
    """

    data: Literal["random", "zeros", "off"] = "random"
    samples: str | None = None
    lengths: dict[str, Positive] = Field(default_factory=dict)

    @field_validator("samples")
    @classmethod
    def _inside(cls, value: str | None) -> str | None:
        if value is not None and (name_fault(value) or not value.endswith(".npz")):
            raise ValueError("must be the name of an .npz file in the model's folder")
        return value


class TokeniserConfig(Settings):
    """The tokeniser before a model of token ids, which then takes texts.

    `file` is what the package tokenizers reads, and lies beside the artifact; `input` is what the
    texts are called. Longer ones than `maxTokens` are refused, never cut; `pad` is the token that
    shorter ones are filled up with.
    """

    file: str = "tokenizer.json"
    input: Annotated[str, Field(min_length=1)] = "text"
    max_tokens: Positive = 512
    pad: Annotated[int, Field(ge=0)] = 0

    @field_validator("file")
    @classmethod
    def _inside(cls, value: str) -> str:
        if name_fault(value) or not value.endswith(".json"):
            raise ValueError("must be the name of a .json file beside the model")
        return value


class ModelConfig(Settings):
    """`model.yaml`. What it leaves out is read from the artifact or has a default."""

    name: str | None = None
    runtime: str | None = None
    versions: Literal["all"] | Latest | tuple[Positive, ...] = "all"
    inputs: tuple[TensorConfig, ...] = ()
    outputs: tuple[TensorConfig, ...] = ()
    batching: BatchingConfig = BatchingConfig()
    padding: dict[str, PadConfig] = Field(default_factory=dict)
    priority: PriorityConfig = PriorityConfig()
    precision: Literal["fp32", "fp16", "bf16"] = "fp32"
    compile: bool = False
    threads: Positive | None = None
    idempotent: bool = True
    decoupled: bool = False
    memory: Size | None = None
    warm_up: WarmUpConfig = WarmUpConfig()
    tokenizer: TokeniserConfig | None = None
    parameters: dict[str, str | bool | int | float] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _servable(cls, value: str | None) -> str | None:
        if value is not None and (fault := name_fault(value)):
            raise ValueError(fault)
        return value

    @field_validator("inputs", "outputs")
    @classmethod
    def _distinct(cls, value: tuple[TensorConfig, ...]) -> tuple[TensorConfig, ...]:
        names = [tensor.name for tensor in value]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{quote(name)} is given twice")
        return value
