"""`python -m benchmarks.affinity`: conversations over three endpoints, with and without affinity.

Each conversation asks again with all that was said before, as chats do. With: completions of texts,
by which the gateway finds the endpoint that has them cached. Without: the same as numbers of
tokens, in which it sees no text and picks by load alone; the engines' caches find them all the
same. Rounds are interleaved, and every round has conversations of its own.

Also what it costs the gateway: naming a prompt's beginnings, and the pick among three endpoints.
"""

import asyncio
import random
import statistics
import time
import timeit
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import openai
from transformers import AutoTokenizer

from benchmarks.report import Report, Table
from chaos.mesh import Mesh
from protos import discovery_pb2 as pb
from protos.prefixes import MOST_NAMES, Filter, prefixes_of, salt_of
from protos.values import Chat
from routing.kept import Kept
from tests.backends.llm import tiny_models

ENDPOINTS = 3
ROUNDS = 3
CONVERSATIONS, AT_ONCE, TURNS = 6, 3, 4
WORDS_A_TURN = 300
NEW = 4  # tokens of an answer
SIZES: dict[str, Any] = {
    "hidden_size": 256,
    "intermediate_size": 704,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "max_position_embeddings": 4096,
}
WORDS = " ".join(tiny_models.TEXTS[::2]).split()
PREFACE = (
    f"{CONVERSATIONS} conversations of {TURNS} turns, {AT_ONCE} at once, over {ENDPOINTS} endpoints"
    f" with one thread each; a Llama of {SIZES['num_hidden_layers']} layers with random weights on"
    f" the CPU; {ROUNDS} interleaved rounds. Without affinity prompts are told as tokens."
)


@dataclass(frozen=True, slots=True)
class Turn:
    """One request: which of the conversation, its tokens, and seconds to the first part."""

    affinity: bool
    turn: int
    prompt: int
    cached: int
    first: float


def main() -> None:
    report = Report("Affinity to cached prompts", PREFACE)
    costs = _costs()
    report.add(Table("What it costs a request", ("bytes of the prompt", "names", "naming it, µs",
                                                 "three endpoints asked, µs"), costs))  # fmt: skip
    turns = asyncio.run(_measure())
    rows = []
    for at in range(TURNS):
        with_, without = (_of(turns, at, affinity) for affinity in (True, False))
        rows.append((at + 1, *with_, *without, with_[1] / without[1]))
    columns = ("turn", "cached, with", "first part, ms", "cached, without", "first part, ms",
               "ratio of times")  # fmt: skip
    report.add(Table("Turns of conversations (medians; shares of all tokens)", columns, rows))
    later = [each for each in turns if each.turn]
    whole = [_summed([each for each in later if each.affinity is way]) for way in (True, False)]
    report.add(
        Table(
            "All turns but the first",
            ("", "cached share", "first part, median ms", "first part, p90 ms"),
            [("with", *whole[0]), ("without", *whole[1])],
        )
    )
    report.save("affinity", {"turns": [asdict(each) for each in turns], "costs": costs})


async def _measure() -> list[Turn]:
    with TemporaryDirectory() as name, Mesh(Path(name)) as mesh:
        folder = tiny_models.write(Path(name, "models", "m"), **SIZES)
        tokeniser = AutoTokenizer.from_pretrained(folder)
        for at in range(ENDPOINTS):
            mesh.start_backend(f"e{at}", folder.parent, runtime="llm")
            mesh.wait_ready(("m", "1"), instances=at + 1)
        found: list[Turn] = []
        async with openai.AsyncOpenAI(
            base_url=f"{mesh.url}/v1", api_key=mesh.token("infer:*"), max_retries=0, timeout=300.0
        ) as client:
            load = _Load(client, tokeniser)
            for _ in range(ROUNDS):
                for affinity in (True, False):
                    found += await load.round(affinity=affinity)
        return found


class _Load:
    def __init__(self, client: openai.AsyncOpenAI, tokeniser: Any) -> None:
        self._client = client
        self._tokeniser = tokeniser
        self._rng = random.Random(1)

    async def round(self, *, affinity: bool) -> list[Turn]:
        room = asyncio.Semaphore(AT_ONCE)

        async def one(seed: float) -> list[Turn]:
            async with room:
                return await self._conversation(random.Random(seed), affinity=affinity)

        seeds = [self._rng.random() for _ in range(CONVERSATIONS)]
        return [turn for turns in await asyncio.gather(*map(one, seeds)) for turn in turns]

    async def _conversation(self, rng: random.Random, *, affinity: bool) -> list[Turn]:
        text, turns = "", []
        for at in range(TURNS):
            text += " ".join(rng.choices(WORDS, k=WORDS_A_TURN)) + "\n"
            prompt = text if affinity else self._tokeniser(text)["input_ids"]
            begun = time.perf_counter()
            stream = await self._client.completions.create(
                model="m",
                prompt=prompt,
                max_tokens=NEW,
                temperature=0,
                stream=True,
                stream_options={"include_usage": True},
                extra_body={"ignore_eos": True},
            )
            first = 0.0
            async for chunk in stream:
                first = first or time.perf_counter() - begun
                usage = chunk.usage
                if usage is not None and usage.prompt_tokens_details is not None:
                    cached = usage.prompt_tokens_details.cached_tokens or 0
                    turns.append(Turn(affinity, at, usage.prompt_tokens, cached, first))
            await asyncio.sleep(rng.uniform(0.1, 0.5))  # who asks reads, and types
        return turns


def _of(turns: list[Turn], at: int, affinity: bool) -> tuple[float, float]:
    some = [each for each in turns if each.turn == at and each.affinity is affinity]
    return _summed(some)[:2]


def _summed(turns: list[Turn]) -> tuple[float, float, float]:
    """The share of tokens that was cached, then milliseconds: median and ninth decile."""
    times = sorted(each.first * 1e3 for each in turns)
    cached = sum(each.cached for each in turns) / sum(each.prompt for each in turns)
    return cached, statistics.median(times), times[int(0.9 * len(times))]


def _costs() -> list[tuple[int, int, float, float]]:
    rng = random.Random(2)
    others = [rng.getrandbits(64) for _ in range(MOST_NAMES)]
    rows = []
    for length in (256, 2048, 16_384, 65_536):
        messages = [
            {"role": role, "content": letter * (length // 2)}
            for role, letter in (("system", "s"), ("user", "u"))
        ]
        payload = Chat({"messages": messages})
        prefixes = prefixes_of(payload, "tenant", "model")
        endpoints = []
        for at in range(ENDPOINTS):
            kept = Kept(f"key {at}")
            names = [*others, *prefixes.names] if at else others
            bits = Filter.of(names[-MOST_NAMES:], salt_of(f"key {at}")).bits
            kept.update(pb.Load(prefixes=bits, prefix_byte_seconds=1e-4), 0.0)
            endpoints.append(kept)
        naming = _microseconds(lambda: prefixes_of(payload, "tenant", "model"))  # noqa: B023
        asking = _microseconds(lambda: [e.saves("model", prefixes) for e in endpoints])  # noqa: B023
        rows.append((length, len(prefixes.names), naming, asking))
    return rows


def _microseconds(work: Any) -> float:
    return min(timeit.repeat(work, number=500, repeat=9)) / 500 * 1e6


if __name__ == "__main__":
    main()
