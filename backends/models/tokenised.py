"""A model of token ids that takes texts: its own tokeniser stands before it.

So an exported sentence encoder, which has no text in its graph, is asked with texts, and answers
`/v1/embeddings`. Tokenising is part of staging a batch, while the one before it executes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.models.config import TokeniserConfig
from backends.runtime import Arrays, Runtime
from protos.datatypes import DATATYPES, Array
from protos.errors import invalid
from protos.values import Parameters, Signature, TensorSpec
from protos.wording import quote

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

# The inputs that exported encoders have, and what of an encoding goes into each.
PARTS = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
# Lengths are filled up to multiples of this, so that few are executed.
STEP = 8


class Tokenised:
    """A runtime whose inputs are token ids, as one whose only input is text."""

    def __init__(self, runtime: Runtime, folder: Path, config: TokeniserConfig) -> None:
        """`folder` holds the tokeniser's file. Raises ValueError if it can't be read."""
        self._runtime = runtime
        self._config = config
        self._tokeniser = _read(folder / config.file)
        self._tokeniser.no_truncation()
        self._tokeniser.enable_padding(
            pad_id=config.pad, pad_token=_word(self._tokeniser, config.pad), pad_to_multiple_of=STEP
        )
        self._inputs: tuple[TensorSpec, ...] = ()

    def load(self) -> Signature:
        """The model's signature with texts in place of token ids; raises ValueError for another."""
        signature = self._runtime.load()
        for spec in signature.inputs:
            ids = DATATYPES[spec.datatype].kind == "signed" and len(spec.shape) == 2
            if spec.name not in PARTS or not ids:
                raise ValueError(
                    f"tokenizer: the model's input {quote(spec.name)} is none of"
                    f" {', '.join(PARTS)} [-1, -1]"
                )
        self._inputs = signature.inputs
        return replace(signature, inputs=(TensorSpec(self._config.input, "BYTES", (-1,)),))

    def stage(self, inputs: Arrays) -> Any:
        """Token ids of a batch of texts, all as long as the longest; raises INVALID."""
        texts = inputs[self._config.input]
        encodings = self._tokeniser.encode_batch([_text(each, self._config) for each in texts])
        self._check(encodings)
        return self._runtime.stage(
            {spec.name: _part(encodings, PARTS[spec.name], spec) for spec in self._inputs}
        )

    def execute(self, staged: Any) -> Arrays:
        return self._runtime.execute(staged)

    def stream(self, inputs: Arrays, parameters: Parameters) -> Iterator[Arrays]:
        raise invalid("this model answers in one part")

    def memory_bytes(self) -> int:
        return self._runtime.memory_bytes()

    def unload(self) -> None:
        self._runtime.unload()

    def _check(self, encodings: "Sequence[Encoding]") -> None:
        most = self._config.max_tokens
        longest = max(sum(encoding.attention_mask) for encoding in encodings)
        if longest > most:
            raise invalid(
                f'inputs "{self._config.input}": a text has {longest} tokens,'
                f" the model takes {most}"
            )


def _read(file: Path) -> "Tokenizer":
    try:
        from tokenizers import Tokenizer
    except ModuleNotFoundError:
        raise ValueError("tokenizer: needs the package tokenizers") from None
    if file.is_symlink() or not file.is_file():
        raise ValueError(f"tokenizer: there is no file {file.name} beside the model")
    try:
        return Tokenizer.from_file(str(file))
    except Exception:  # of no class of its own; what it says holds the file's content
        raise ValueError(f"tokenizer: {file.name} is no tokeniser") from None


def _word(tokeniser: "Tokenizer", token: int) -> str:
    word = tokeniser.id_to_token(token)
    if word is None:
        raise ValueError(f"tokenizer.pad: the tokeniser has no token {token}")
    return str(word)


def _text(element: object, config: TokeniserConfig) -> str:
    try:
        return bytes(element).decode() if isinstance(element, bytes) else str(element)
    except UnicodeDecodeError:
        raise invalid(f'inputs "{config.input}": a text is not UTF-8') from None


def _part(encodings: "Sequence[Encoding]", part: str, spec: TensorSpec) -> Array:
    return np.array([getattr(each, part) for each in encodings], DATATYPES[spec.datatype].dtype)
