"""Calls of the exchange as jobs of the device: what batching backends do with them."""

from collections.abc import Sequence
from functools import partial

from backends.batching.job import Job, Outcome
from backends.exchange import Answer, Taken
from backends.intake import Intake
from backends.reply import output_tensors
from protos import exchange_parts
from protos.errors import Kind, PenstockError, Timing
from protos.exchange_calls import Call
from protos.incident import incident
from protos.values import Signature

REPLY_BYTES = 256 * 1024 * 1024


class Batched:
    """Hands calls to the intake, and encodes what comes of them."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def take(self, calls: Sequence[tuple[Call, Answer]]) -> list[Taken | PenstockError]:
        sinks = [(call, partial(self._answer, call.id, answer)) for call, answer in calls]
        taken = self._intake.submit_all(sinks, exchange_parts.INITIAL_CREDIT)
        return [_Queued(self._intake, each) if isinstance(each, Job) else each for each in taken]

    def _answer(self, call_id: int, answer: Answer, outcome: Outcome, signature: Signature) -> None:
        final = outcome.final
        try:
            part = _encode(call_id, outcome, signature)
        except Exception as raised:
            error = (
                raised
                if isinstance(raised, PenstockError)
                else incident(raised, "a reply could not be encoded")
            )
            part = exchange_parts.encode_failure(
                call_id, error, executed=outcome.executed, timing=_timing(outcome)
            )
            if not final:
                self._intake.cancel(outcome.job)  # a failure is the last that the caller gets
            final = True
        answer(part, final)


class _Queued:
    __slots__ = ("_intake", "_job")

    def __init__(self, intake: Intake, job: Job) -> None:
        self._intake = intake
        self._job = job

    def cancel(self) -> None:
        self._intake.cancel(self._job)

    def credit(self, room: int) -> None:
        self._intake.device.add_credit(self._job.id, room)


def _timing(outcome: Outcome) -> Timing:
    queue_us, compute_us = int(outcome.queue * 1e6), int(outcome.compute * 1e6)
    return Timing(queue_us, compute_us, outcome.batch_rows, outcome.padded_rows)


def _encode(call_id: int, outcome: Outcome, signature: Signature) -> bytes:
    if outcome.error is not None:
        return exchange_parts.encode_failure(
            call_id, outcome.error, executed=outcome.executed, timing=_timing(outcome)
        )
    tensors = output_tensors(outcome, signature)
    part = exchange_parts.encode_part(
        call_id,
        tensors,
        outcome.job.model[1],
        final=outcome.final,
        queue_us=int(outcome.queue * 1e6),
        compute_us=int(outcome.compute * 1e6),
        batch_rows=outcome.batch_rows,
        padded_rows=outcome.padded_rows,
    )
    if len(part) > REPLY_BYTES:
        why = f"the reply has {len(part)} bytes, at most {REPLY_BYTES} can be sent"
        raise PenstockError(Kind.BAD_REPLY, why)
    return part
