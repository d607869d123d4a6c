import json

import pytest

from policies.pii.payload import redact_parameters, redact_payload
from policies.pii.redactor import Redactor
from policies.pii.settings import Policy, Rule
from protos.arrays import join_bytes, split_bytes
from protos.errors import Kind, PenstockError
from protos.values import Tensor, Tensors
from tests.policies.pii.finding import KEY

REPLACING = Redactor(Policy(default=Rule(action="replace"), binaryInputs=("image",)), KEY)


def payload(name: str, *elements: bytes) -> Tensors:
    return Tensors((Tensor(name, "BYTES", (len(elements),), join_bytes(elements)),))


def redacted(name: str, *elements: bytes) -> list[bytes]:
    after, _ = redact_payload(payload(name, *elements), REPLACING, REPLACING.vault("acme"))
    return [bytes(element) for element in split_bytes(after.tensors[0].data)]


def test_elements_are_redacted_where_they_stand() -> None:
    assert redacted("text", b"hello", b"to bob@example.com") == [b"hello", b"to [EMAIL]"]


def test_the_inputs_name_counts_as_a_word() -> None:
    assert redacted("ssn", b"536904399") == [b"[US_SSN]"]
    assert redacted("order", b"536904399") == [b"536904399"]


def test_json_is_redacted_leaf_by_leaf() -> None:
    (after,) = redacted("text", b'{"mail": "b\\u006fb@example.com", "ssn": 536904399}')
    assert json.loads(after) == {"mail": "[EMAIL]", "ssn": "[US_SSN]"}


def test_a_clean_payload_is_the_same_object() -> None:
    clean = payload("text", b"hello")
    assert redact_payload(clean, REPLACING, REPLACING.vault("acme")) == (clean, ())


def test_bytes_that_are_no_text_fail_closed() -> None:
    with pytest.raises(PenstockError, match='input "text": element 1 is not UTF-8') as caught:
        redacted("text", b"a", b"\xff")
    assert caught.value.kind is Kind.INVALID
    assert redacted("image", b"\xff", b"bob@example.com") == [b"\xff", b"bob@example.com"]


def test_blocked_entities_refuse_the_request() -> None:
    blocking = Redactor(Policy(default=Rule(action="block")), KEY)
    with pytest.raises(PenstockError, match="1 EMAIL"):
        redact_payload(payload("text", b"bob@example.com"), blocking, blocking.vault("acme"))
    with pytest.raises(PenstockError, match="1 EMAIL"):
        redact_parameters({"user": "bob@example.com"}, blocking, blocking.vault("acme"))


def test_string_parameters_are_text_too() -> None:
    given = {"user": "bob@example.com", "temperature": 0.5, "stop": "END"}
    after, spans = redact_parameters(given, REPLACING, REPLACING.vault("acme"))
    assert after == {"user": "[EMAIL]", "temperature": 0.5, "stop": "END"}
    assert len(spans) == 1
