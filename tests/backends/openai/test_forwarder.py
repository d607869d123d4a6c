"""Calls to a real server: answers, streams, refusals, deadlines, cancellation and bounds."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from backends.openai.forwarder import Forwarder
from backends.openai.roster import Roster
from backends.openai.signals import Signals
from backends.openai.upstream import Upstream
from protos import exchange_calls, exchange_parts
from protos.arrays import split_bytes
from protos.errors import Kind, PenstockError
from protos.exchange_objects import bytes_of
from protos.openai.said import outputs_of
from protos.values import Chat, Embedding, Part, Prompt
from tests.backends.language.test_texts import call as tensor_call
from tests.openai_server import MODELS, Server, serving

WAIT = 30.0


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Server, str]]:
    server = Server()
    with serving(server) as url:
        yield server, url


@asynccontextmanager
async def forwarder(url: str, most: int = 8, **settings) -> AsyncIterator[Forwarder]:
    upstream = Upstream(url, settings.get("key_file"))
    roster = Roster({})
    roster.update({*MODELS, "unheard-of"})
    signals = settings.get("signals", Signals)
    forwarder = Forwarder(upstream, roster, most=most, signals=signals)
    try:
        yield forwarder
    finally:
        await forwarder.close()
        await upstream.close()


def call(payload, model="echo", *, streaming=False, seconds=0.0, number=1):
    body = {**payload.body, "model": model, **({"stream": True} if streaming else {})}
    return exchange_calls.Call(
        number, model, "1", "", {}, {}, (), {}, "t", "00-ab", 0, False, False, streaming,
        int(seconds * 1e6), type(payload)(body),
    )  # fmt: skip


def chat(text="a b c", **more):
    return Chat({"messages": [{"role": "user", "content": text}], **more})


class Heard:
    """What came of one call: its parts, or how it failed and whether it had begun."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.failure: PenstockError | None = None
        self.executed = False
        self.over = asyncio.Event()
        self.came = asyncio.Event()

    def __call__(self, part: bytes, final: bool) -> None:
        ((_, found, executed),) = exchange_parts.decode_parts(exchange_parts.reply_frame([part]))
        if isinstance(found, PenstockError):
            self.failure, self.executed = found, executed
        else:
            self.parts.append(found)
        self.came.set()
        if final:
            self.over.set()


async def answer(forwarder: Forwarder, call: exchange_calls.Call) -> Heard:
    heard = Heard()
    (taken,) = forwarder.take([(call, heard)])
    if isinstance(taken, PenstockError):
        heard.failure = taken
        return heard
    async with asyncio.timeout(WAIT):
        await heard.over.wait()
    return heard


def said(heard: Heard) -> str:
    found = [tensor for part in heard.parts for tensor in outputs_of(part.payload)]
    return b"".join(element for each in found for element in split_bytes(each.data)).decode()


async def test_an_answer_comes_whole_and_the_server_is_asked_by_its_own_name(server):
    seen, url = server
    async with forwarder(url) as forward:
        heard = await answer(forward, call(chat("hello world", temperature=0.5)))
        (part,) = heard.parts
        assert part.final
        assert part.payload.body["usage"]["completion_tokens"] == 2
        assert said(heard) == "hello world"
        assert seen.requests[-1]["temperature"] == 0.5
        assert seen.headers[-1]["traceparent"] == "00-ab"
        await asyncio.sleep(0)
        assert forward.in_flight == 0
        assert forward.times.quantile(0.5) > 0


async def test_what_a_prompt_takes_is_learned_from_streams_alone(server):
    async with forwarder(server[1]) as forward:
        await answer(forward, call(chat("hello world")))
        assert forward.pace.byte_seconds == 0.0
        await answer(forward, call(chat("hello world again"), streaming=True))
        assert forward.pace.byte_seconds > 0.0


async def test_a_stream_comes_in_chunks_and_ends_with_an_empty_part(server):
    seen, url = server
    async with forwarder(url) as forward:
        heard = await answer(forward, call(chat("hello dear world"), streaming=True))
        *chunks, last = heard.parts
        assert last.final
        assert last.payload.tensors == ()
        assert not any(chunk.final for chunk in chunks)
        assert said(heard) == "hello dear world"
        assert chunks[-1].payload.body["usage"]["total_tokens"] == 10  # asked for by us
        assert seen.requests[-1]["stream_options"] == {"include_usage": True}


async def test_a_server_that_knows_no_options_of_streams_is_asked_without_them():
    seen = Server(takes_options=False)
    with serving(seen) as url:
        async with forwarder(url) as forward:
            for _ in range(2):
                heard = await answer(forward, call(chat("a b"), streaming=True))
                assert said(heard) == "a b"
        assert ["stream_options" in each for each in seen.requests] == [True, False, False]


@pytest.mark.parametrize("own", [{"continuous_usage_stats": True}, "nope", {"x": 1}], ids=str)
async def test_of_a_streams_options_the_server_sees_ours_alone(server, own):
    seen, url = server
    async with forwarder(url) as forward:
        heard = await answer(forward, call(chat("a b", stream_options=own), streaming=True))
        assert heard.failure is None
        assert seen.requests[-1]["stream_options"] == {"include_usage": True}


async def test_a_refused_request_that_only_speaks_of_options_changes_nothing_for_others(server):
    seen, url = server
    async with forwarder(url) as forward:
        odd = chat("a b", wrong_stream_options=1)
        heard = await answer(forward, call(odd, "picky", streaming=True))
        assert heard.failure.kind is Kind.INVALID
        await answer(forward, call(chat("a b"), streaming=True))
        assert seen.requests[-1]["stream_options"] == {"include_usage": True}


async def test_how_many_wait_says_how_long_a_call_has_waited(server):
    async with forwarder(server[1], signals=lambda: Signals(waiting=30, running=10)) as forward:
        (part,) = (await answer(forward, call(chat()))).parts
        assert part.batch_rows == 10
        assert part.queue_us == pytest.approx(3 * part.compute_us, rel=0.01, abs=5)
    async with forwarder(server[1], signals=lambda: Signals(running=10)) as forward:
        (part,) = (await answer(forward, call(chat()))).parts
        assert (part.queue_us, part.batch_rows) == (0, 1)


async def test_prompts_and_embeddings_go_to_their_own_paths(server):
    async with forwarder(server[1]) as forward:
        heard = await answer(forward, call(Prompt({"prompt": "once upon"})))
        assert said(heard) == "once upon"
        heard = await answer(forward, call(Embedding({"input": ["ab", "c"]}), "embed"))
        vectors = [each["embedding"] for each in heard.parts[0].payload.body["data"]]
        assert vectors == [[2.0, 0.5], [1.0, 0.5]]


async def test_tensors_are_answered_with_tensors(server):
    async with forwarder(server[1]) as forward:
        for streaming in (False, True):
            asked = replace(tensor_call(b"once upon a"), model="echo", streaming=streaming)
            heard = await answer(forward, asked)
            assert said(heard) == "once upon a"
            assert {each.name for each in heard.parts[0].payload.tensors} == {"text_output"}
            assert len(heard.parts) == (4 if streaming else 1)


@pytest.mark.parametrize(
    ("model", "kind", "executed"),
    [
        ("refuses", Kind.INVALID, False),
        ("full", Kind.OVERLOADED, False),
        ("breaks", Kind.MODEL_FAILED, False),
        ("unheard-of", Kind.UNAVAILABLE, False),
        ("not-listed", Kind.NOT_FOUND, False),
    ],
)
@pytest.mark.parametrize("streaming", [False, True])
async def test_what_the_server_refuses_is_refused(server, model, kind, executed, streaming):
    async with forwarder(server[1]) as forward:
        heard = await answer(forward, call(chat(), model, streaming=streaming))
        assert (heard.failure.kind, heard.executed) == (kind, executed)
        assert "/srv" not in heard.failure.message


async def test_a_full_servers_word_of_when_to_come_again_is_kept(server):
    async with forwarder(server[1]) as forward:
        heard = await answer(forward, call(chat(), "full"))
        assert heard.failure.retry_after == 7.0


@pytest.mark.parametrize(("model", "kind"), [("cuts", Kind.BAD_REPLY), ("errs", Kind.MODEL_FAILED)])
async def test_a_stream_that_breaks_is_an_error_after_what_was_said(server, model, kind):
    async with forwarder(server[1]) as forward:
        heard = await answer(forward, call(chat("a b c"), model, streaming=True))
        assert said(heard) == "a "
        assert (heard.failure.kind, heard.executed) == (kind, True)


async def test_a_stream_without_done_is_whole_once_it_has_finished(server):
    async with forwarder(server[1]) as forward:
        heard = await answer(forward, call(chat("a b"), "undone", streaming=True))
        assert heard.failure is None
        assert heard.parts[-1].final


async def test_a_call_ends_at_its_deadline(server):
    async with forwarder(server[1]) as forward:
        heard = await answer(forward, call(chat(), "silent", seconds=0.05))
        assert heard.failure.kind is Kind.DEADLINE


async def test_a_call_whose_caller_is_gone_closes_the_servers_stream(server):
    seen, url = server
    async with forwarder(url) as forward:
        heard = Heard()
        (taken,) = forward.take([(call(chat(), "slow", streaming=True), heard)])
        async with asyncio.timeout(WAIT):
            await heard.came.wait()
            assert seen.open == 1
            taken.cancel()
            while seen.open or forward.in_flight:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert not heard.over.is_set()


async def test_a_stream_waits_for_the_gateways_client(server):
    async with forwarder(server[1]) as forward:
        heard = Heard()
        (taken,) = forward.take([(call(chat(), "big", streaming=True), heard)])

        def received() -> int:
            return sum(bytes_of(part.payload) for part in heard.parts)

        async with asyncio.timeout(WAIT):
            while received() < exchange_parts.INITIAL_CREDIT:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            assert received() < exchange_parts.INITIAL_CREDIT + 20_000
            assert not heard.over.is_set()
            taken.credit(1 << 30)
            await heard.over.wait()
        assert received() > 10_000_000


async def test_more_calls_than_there_is_room_for_go_elsewhere(server):
    async with forwarder(server[1], most=1) as forward:
        first, second = forward.take([(call(chat(), "silent", number=n), Heard()) for n in (1, 2)])
        assert not isinstance(first, PenstockError)
        assert second.kind is Kind.OVERLOADED


async def test_a_server_that_is_not_there_was_not_asked():
    async with forwarder("http://127.0.0.1:9/v1") as forward:
        heard = await answer(forward, call(chat()))
        assert (heard.failure.kind, heard.executed) == (Kind.UNAVAILABLE, False)


async def test_the_servers_key_is_read_for_every_call_and_stays_here(tmp_path):
    key = tmp_path / "key"
    key.write_text("wrong\n")
    with serving(Server(key="right")) as url:
        async with forwarder(url, key_file=key) as forward:
            heard = await answer(forward, call(chat()))
            assert heard.failure.kind is Kind.UNAVAILABLE
            assert "secret" not in heard.failure.message
            key.write_text("right\n")
            assert (await answer(forward, call(chat()))).failure is None
            key.unlink()
            assert (await answer(forward, call(chat()))).failure.kind is Kind.UNAVAILABLE
