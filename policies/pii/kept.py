"""Answers as they may be kept: the worst pairs of a mirror, to be looked at by people."""

from collections.abc import Sequence
from typing import Any

import orjson

from policies.pii.passage import Passage
from policies.pii.steps import at_once
from protos.arrays import split_bytes, to_array
from protos.openai.said import outputs_of
from protos.values import Part

LONGEST = 16_384  # characters of a text
MOST = 256  # values of an output


def in_json(passage: Passage, answers: dict[str, Sequence[Part]]) -> str:
    """The answers by what they are called, each its outputs by name.

    Texts are redacted as what models say is, and nothing is restored; those that come in pieces are
    joined before. Numbers are kept as they are.
    """
    told = {name: _answer(passage, parts) for name, parts in answers.items()}
    return orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY).decode()


def _answer(passage: Passage, parts: Sequence[Part]) -> dict[str, Any]:
    texts: dict[str, list[str]] = {}
    made: dict[str, Any] = {}
    for part in parts:
        for tensor in outputs_of(part.payload):
            if tensor.datatype != "BYTES":
                made[tensor.name] = to_array(tensor).reshape(-1)[:MOST]
                continue
            known = texts.setdefault(tensor.name, [])
            for index, element in enumerate(split_bytes(tensor.data)[:MOST]):
                if index == len(known):
                    known.append("")
                known[index] += element.decode(errors="replace")
    for name, pieces in texts.items():
        made[name] = [at_once(passage.answer(text, name))[:LONGEST] for text in pieces]
    return made
