"""The one JSON parser: what it takes is what the standard library reads, but never more."""

import json

from protos.json_reader import read_object
from tests.fuzz.refusing import refusing


def one(data: bytes) -> None:
    with refusing():
        found = read_object(data)
        assert found == json.loads(data)
