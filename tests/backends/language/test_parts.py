"""An answer's parts: the times that they tell, and the room that they take."""

from backends.language.parts import Parts
from protos import exchange_parts
from protos.errors import Kind, PenstockError
from protos.exchange_objects import bytes_of
from protos.values import Chat, Part
from tests.backends.openai.test_forwarder import call, chat

CHUNK = Chat({"choices": []})


class Sent:
    """What the gateway got, and a clock that is set by hand."""

    def __init__(self, queued: float = 0.0) -> None:
        self.got: list[tuple[Part | PenstockError, bool]] = []
        self.now = 100.0
        self.begun: list[float] = []
        self.parts = Parts(
            call(chat()),
            self._take,
            clock=lambda: self.now,
            sharing=lambda: 3,
            queued=lambda elapsed: queued,
            begun=self.begun.append,
        )

    def _take(self, part: bytes, final: bool) -> None:
        ((_, decoded, _),) = exchange_parts.decode_parts(exchange_parts.reply_frame([part]))
        self.got.append((decoded, final))

    def send(self, after: float, *, final: bool) -> Part:
        self.now += after
        self.parts.send(CHUNK, final=final)
        part, last = self.got[-1]
        assert isinstance(part, Part)
        assert last == final
        return part


def test_the_queue_is_asked_for_and_the_beginning_told_once_with_the_first_part() -> None:
    sent = Sent(queued=0.5)
    first, second = sent.send(2.0, final=False), sent.send(1.0, final=True)
    assert sent.begun == [2.0]
    assert (first.queue_us, first.compute_us) == (500_000, 1_500_000)
    assert (second.queue_us, second.compute_us) == (500_000, 2_500_000)
    assert first.batch_rows == second.batch_rows == 3


def test_an_answer_may_begin_before_its_first_part_is_sent() -> None:
    sent = Sent(queued=0.5)
    sent.now += 2.0
    sent.parts.begin()
    only = sent.send(7.0, final=True)
    assert sent.begun == [2.0]
    assert (only.queue_us, only.compute_us) == (500_000, 8_500_000)


def test_what_is_sent_takes_room() -> None:
    sent = Sent()
    assert sent.parts.room == exchange_parts.INITIAL_CREDIT
    sent.send(0.0, final=False)
    assert sent.parts.room == exchange_parts.INITIAL_CREDIT - bytes_of(CHUNK)


def test_a_failure_is_the_end() -> None:
    sent = Sent()
    sent.parts.fail(PenstockError(Kind.INTERNAL, "it broke"), executed=True)
    ((error, final),) = sent.got
    assert isinstance(error, PenstockError)
    assert final
    assert not sent.begun
