"""The door of redaction: every text is seen, and what is written back is all that changes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from protos.arrays import join_bytes, split_bytes
from protos.found_text import Text
from protos.text import texts
from protos.values import Tensor, Tensors
from tests.protos import any_tensors
from tests.protos.walking import with_texts


@settings(deadline=None, max_examples=100)
@given(any_tensors.payloads())
def test_texts_put_back_unchanged_change_nothing(payload):
    assert with_texts(payload, [text.text for text in texts(payload)]) is payload


@settings(deadline=None, max_examples=100)
@given(any_tensors.payloads(datatypes=("BYTES", "FP32")), st.data())
def test_texts_put_back_are_the_texts_there(payload, data):
    found = list(texts(payload))
    new = [data.draw(any_tensors.texts) if text.text is not None else None for text in found]
    after = with_texts(payload, new)
    assert [text.text for text in texts(after)] == new
    for old, changed in zip(payload.tensors, after.tensors, strict=True):
        assert (old.name, old.datatype, old.shape) == (
            changed.name,
            changed.datatype,
            changed.shape,
        )


def test_elements_that_are_no_text_are_reported_and_kept():
    data = join_bytes([b"Alice", b"\xff\xfe", "é".encode()])
    payload = Tensors((Tensor("n", "FP32", (1,), bytes(4)), Tensor("t", "BYTES", (3,), data)))
    assert list(texts(payload)) == [Text("t", 0, "Alice"), Text("t", 1, None), Text("t", 2, "é")]
    after = with_texts(payload, ["[NAME]", None, None])
    assert split_bytes(after.tensors[1].data) == [b"[NAME]", b"\xff\xfe", "é".encode()]
    assert after.tensors[0] is payload.tensors[0]
