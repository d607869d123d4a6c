import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.batching.batch import assemble, join, split
from backends.batching.bucket import bucket_of
from backends.batching.job import BatchPolicy, Job, PadRule
from protos.errors import Kind, PenstockError
from protos.values import Signature, TensorSpec
from tests.backends.jobs import KEY, scheduler

TOKENS = PadRule("seq", {"ids": 1}, {"ids": -1}, (4, 8))
TEXT = BatchPolicy(max_rows=8, sizes=(1, 2, 4, 8), pads=(TOKENS,))
TAGS = Signature(
    "test",
    (TensorSpec("ids", "INT64", (-1, -1), (None, "seq")),),
    (
        TensorSpec("tags", "INT64", (-1, -1, 2), (None, "seq", None)),
        TensorSpec("pooled", "FP32", (-1, 3)),
    ),
    8,
)


def batch_of(policy, *requests):
    made = scheduler(policy)
    for number, inputs in enumerate(requests):
        bucket, rows = bucket_of(inputs, policy)
        made.add(Job(number, KEY, inputs, rows, 0.0, 1e9, bucket=bucket), 0.0)
    batch = made.next_batch(0.0).batch
    assert batch is not None
    return batch


def ids(rows, length, start=0):
    return {"ids": np.arange(start, start + rows * length, dtype=np.int64).reshape(rows, length)}


def tagged(arrays):
    """A model that says twice what it saw, by token, and three numbers by row."""
    seen = arrays["ids"]
    return {"tags": np.stack([seen, seen * 10], axis=2), "pooled": np.zeros((len(seen), 3), "f")}


def test_a_request_that_fills_its_batch_alone_is_not_copied():
    inputs = ids(4, 8)
    assert assemble(batch_of(TEXT, inputs))["ids"] is inputs["ids"]


def test_rows_are_filled_up_with_copies_of_the_first_and_lengths_with_the_rule_s_value():
    found = assemble(batch_of(TEXT, ids(1, 2, 5), ids(2, 3, 7)))["ids"]
    assert found.tolist() == [[5, 6, -1, -1], [7, 8, 9, -1], [10, 11, 12, -1], [5, 6, -1, -1]]


def test_texts_are_filled_up_with_nothing():
    policy = BatchPolicy(max_rows=4, pads=(PadRule("n", {"t": 1}, {}, (2,)),))
    one = np.array([[b"a"]], object)
    found = assemble(batch_of(policy, {"t": one}, {"t": np.array([[b"b", b"c"]], object)}))["t"]
    assert found.tolist() == [[b"a", b""], [b"b", b"c"]]


def test_models_without_batch_dimension_get_their_request_as_it_is():
    inputs = {"x": np.zeros((3, 2), np.float32)}
    assert assemble(batch_of(BatchPolicy(max_rows=0), inputs))["x"] is inputs["x"]


def test_outputs_are_cut_to_each_request_s_rows_and_length():
    requests = [ids(1, 2, 5), ids(2, 3, 7)]
    batch = batch_of(TEXT, *requests)
    parts = split(tagged(assemble(batch)), batch, TAGS)
    assert [part["tags"].shape for part in parts] == [(1, 2, 2), (2, 3, 2)]
    assert [part["pooled"].shape for part in parts] == [(1, 3), (2, 3)]
    for part, request in zip(parts, requests, strict=True):
        assert (part["tags"][:, :, 0] == request["ids"]).all()


def test_an_output_with_another_number_of_rows_is_refused_instead_of_cut():
    batch = batch_of(TEXT, ids(1, 4), ids(2, 4))
    with pytest.raises(PenstockError) as caught:
        split({"pooled": np.zeros((3, 3))}, batch, TAGS)
    assert caught.value.kind is Kind.BAD_REPLY
    assert caught.value.message == 'output "pooled": shape is [3, 3], the batch had 4 rows'


def test_an_output_without_the_length_that_its_symbol_promises_is_refused():
    batch = batch_of(TEXT, ids(1, 3))
    with pytest.raises(PenstockError, match="should be 4") as caught:
        split({"tags": np.zeros((1, 7, 2))}, batch, TAGS)
    assert caught.value.kind is Kind.BAD_REPLY


def test_parts_of_a_split_request_that_do_not_fit_together_are_refused():
    with pytest.raises(PenstockError) as caught:
        join([{"y": np.zeros((2, 3))}, {"y": np.zeros((2, 4))}])
    assert caught.value.kind is Kind.BAD_REPLY


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 12)), min_size=1, max_size=6))
def test_whatever_goes_into_a_batch_comes_out_to_whom_it_belongs(shapes):
    made = scheduler(TEXT)
    sent = {}
    for number, (rows, length) in enumerate(shapes):
        inputs = ids(rows, length, 1000 * number)
        bucket, rows = bucket_of(inputs, TEXT)
        made.add(Job(number, KEY, inputs, rows, 0.0, 1e9, bucket=bucket), 0.0)
        sent[number] = inputs["ids"]
    while (batch := made.next_batch(0.0).batch) is not None:
        arrays = assemble(batch)
        assert len(arrays["ids"]) == batch.padded_rows >= batch.rows
        parts = split(tagged(arrays), batch, TAGS)
        for outcome in made.settle(batch, parts, 0.0, 0.001, 0.001):
            assert outcome.outputs is not None
            assert (outcome.outputs["tags"][:, :, 0] == sent.pop(outcome.job.id)).all()
    assert not sent
