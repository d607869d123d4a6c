"""A backend's reply beside the model's signature."""

from dataclasses import replace

import numpy as np
import pytest

from protos.arrays import to_tensor
from protos.errors import Kind, PenstockError
from protos.principal import Principal
from protos.service import Reply
from protos.timeline import Timeline
from protos.values import Context, InferRequest, Part, Signature, Tensors, TensorSpec
from routing.reply_check import ReplyCheck

BATCHED = Signature(
    "",
    (TensorSpec("x", "FP32", (-1, 2)),),
    (TensorSpec("y", "FP32", (-1, 3)), TensorSpec("z", "INT32", (-1,))),
    max_batch_size=8,
)
IN_PARTS = Signature(
    "", (TensorSpec("x", "FP32", (-1, 2)),), (TensorSpec("y", "FP32", (-1,)),), decoupled=True
)
SCALAR = np.zeros((), np.float32)


def asked(rows=2, wanted=()):
    context = Context(Principal("s", "tenant", frozenset()), 1.0, Timeline(0.0))
    tensor = to_tensor("x", np.zeros((rows, 2), np.float32))
    return InferRequest("", "m", "1", Tensors((tensor,), wanted), {}, context)


def part(*, final=True, **outputs):
    return Part(Tensors(tuple(to_tensor(k, v) for k, v in outputs.items())), "1", {}, final)


def y(rows=2, columns=3, datatype=np.float32):
    return np.zeros((rows, columns), datatype)


def z(rows=2):
    return np.zeros(rows, np.int32)


@pytest.mark.parametrize(
    ("request_", "outputs"),
    [(asked(), {"y": y(), "z": z()}), (asked(wanted=("z",)), {"z": z()})],
)
def test_what_the_model_gives_passes(request_, outputs):
    reply = Reply(part(**outputs))
    assert ReplyCheck(BATCHED)(request_, reply) is reply


@pytest.mark.parametrize(
    ("outputs", "why"),
    [
        ({"y": y(), "letter": z()}, 'no output "letter"'),
        ({"y": y(datatype=np.float64), "z": z()}, '"y" is FP64, not FP32'),
        ({"y": y(rows=3), "z": z(3)}, r'"y" has the shape \[3, 3\]'),
        ({"y": y(columns=4), "z": z()}, r'"y" has the shape \[2, 4\]'),
        ({"y": z().astype(np.float32), "z": z()}, r'"y" has the shape \[2\]'),
        ({"y": y()}, "other outputs than were asked for"),
        ({}, "other outputs than were asked for"),
    ],
)
def test_what_it_cannot_have_given_is_a_bad_reply(outputs, why):
    closed = []
    with pytest.raises(PenstockError, match=why) as raised:
        ReplyCheck(BATCHED)(asked(), Reply(part(**outputs), None, lambda: closed.append(True)))
    assert raised.value.kind is Kind.BAD_REPLY
    assert closed == [True]


def twice(name, array):
    return Part(Tensors((to_tensor(name, array),) * 2), "1", {}, True)


@pytest.mark.parametrize(
    ("wanted", "answer"),
    [
        ((), twice("y", y())),
        (("y", "z"), twice("y", y())),
        (("z",), part(y=y())),
        (("z",), part(y=y(), z=z())),
        (("letter",), part(y=y())),
        (("letter",), part()),
    ],
)
def test_it_has_those_outputs_that_were_asked_for_each_once(wanted, answer):
    with pytest.raises(PenstockError, match="or not each of them once") as raised:
        ReplyCheck(BATCHED)(asked(wanted=wanted), Reply(answer))
    assert raised.value.kind is Kind.BAD_REPLY


def test_an_output_may_be_asked_for_twice():
    reply = Reply(part(z=z()))
    assert ReplyCheck(BATCHED)(asked(wanted=("z", "z")), reply) is reply


@pytest.mark.parametrize("given", [(), (to_tensor("x", SCALAR),)])
def test_where_nothing_has_rows_none_are_compared(given):
    request = replace(asked(), payload=Tensors(given))
    reply = Reply(part(y=y(), z=z()))
    assert ReplyCheck(BATCHED)(request, reply) is reply


def test_an_output_without_dimensions_has_no_rows():
    signature = replace(BATCHED, outputs=(TensorSpec("y", "FP32", ()),))
    reply = Reply(part(y=SCALAR))
    assert ReplyCheck(signature)(asked(), reply) is reply


async def test_each_part_of_a_stream_is_looked_at():
    async def rest():
        yield part(y=np.zeros(7, np.float32), final=False)
        yield part(letter=np.zeros(7, np.float32))

    first = part(y=np.zeros(1, np.float32), final=False)
    reply = ReplyCheck(IN_PARTS)(asked(), Reply(first, rest()))
    assert reply.first is first
    assert (await anext(reply.rest)).payload.tensors[0].name == "y"
    with pytest.raises(PenstockError, match="letter"):
        await anext(reply.rest)
