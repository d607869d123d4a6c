"""Two endpoints of language models behind one gate: which of them is asked, and policies.

The models say their prompt again, so it is known what they will say (tests/parrot_llama.py).
"""

import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from chaos.mesh import Mesh
from gateway.config import load_config
from gateway.store.engine import open_store
from routing.shadow.record import PairRecord
from tests import parrot_llama

PERIOD = 64  # letters of a prompt that "parrot" repeats
EMAIL = "ada@example.org"
PLACEHOLDER = "[EMAIL_123456]"
LIMIT = 400  # tokens of the tenant in an hour
CARD = "4111 1111 1111 1111"

ROUTE = """
apiVersion: penstock/v1
kind: Route
metadata: {{name: {name}}}
spec:
  match: [{{model: {name}}}]
  backends: [{{name: only, model: parrot, version: "1"}}]
  {policies}
"""
PRIVACY = """
apiVersion: penstock/v1
kind: Privacy
metadata: {name: bank}
spec: {default: {action: restore}}
"""
OUTPUT = """
apiVersion: penstock/v1
kind: Output
metadata: {name: clean}
spec: {entities: {CREDIT_CARD: {action: mask, keepLast: 4}}}
"""
MIRRORS = """
  mirror:
    - {backend: same, model: parrot, version: "1", percent: 100, compare: {kind: tokens}}
    - {backend: other, model: other, version: "1", percent: 100, compare: {kind: tokens}}
"""
POLICIES = {
    "guarded": "privacy: {policy: bank}",
    "clean": "output: {policy: clean}",
    "metered": f"limits: [{{per: tenant, tokens: {LIMIT}/1h}}]",
    "mirrored": MIRRORS.strip(),
}


class Language:
    """The mesh and a client of it."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        key = mesh.token("infer:*")
        self.client = openai.OpenAI(
            base_url=f"{mesh.url}/v1", api_key=key, max_retries=0, timeout=60.0
        )

    def ask(self, messages: list[dict[str, str]], **settings: Any) -> Any:
        wishes: dict[str, Any] = {"model": "parrot", "max_tokens": 2, "temperature": 0}
        return self.client.chat.completions.create(
            messages=messages,  # type: ignore[arg-type]
            extra_body={"ignore_eos": True},
            **{**wishes, **settings},
        )

    def streamed(self, prompt: str, **settings: Any) -> tuple[str, list[str], dict[str, str]]:
        """What a stream says, in which pieces, and the headers of the reply."""
        wishes: dict[str, Any] = {"max_tokens": PERIOD, "temperature": 0, "stream": True}
        answer = self.client.chat.completions.with_raw_response.create(
            messages=said(prompt),  # type: ignore[arg-type]
            **{**wishes, **settings},
        )
        chunks = [each for each in answer.parse() if each.choices]
        pieces = [each.choices[0].delta.content or "" for each in chunks]
        return "".join(pieces), pieces, dict(answer.headers)

    def sample(self, name: str, **labels: str) -> float:
        """The sum of the samples that have the labels."""
        families = text_string_to_metric_families(self.mesh.metrics())
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def until(self, done: Callable[[], bool], step: Callable[[], object], what: str) -> None:
        """Takes one step after the other until it is done."""

        def stepped() -> bool:
            step()
            return done()

        self.mesh.wait(stepped, what)


def said(*contents: str) -> list[dict[str, str]]:
    roles = ("user", "assistant")
    return [{"role": roles[at % 2], "content": each} for at, each in enumerate(contents)]


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Language]:
    folder: Path = tmp_path_factory.mktemp("language")
    parrot_llama.write(folder / "models" / "parrot", PERIOD)
    parrot_llama.write(folder / "models" / "other", PERIOD - 3)
    routes = {"bank.yaml": PRIVACY, "output.yaml": OUTPUT} | {
        f"{name}.yaml": ROUTE.format(name=name, policies=policies)
        for name, policies in POLICIES.items()
    }
    with Mesh(folder, routes=routes) as mesh:
        for at, name in enumerate(("one", "two")):
            flags = ("--memory-budget", "64MiB")
            mesh.start_backend(name, folder / "models", *flags, runtime="llm")
            mesh.wait_ready(("parrot", "1"), ("other", "1"), instances=at + 1)
        yield Language(mesh)


def test_a_model_sees_a_placeholder_and_the_streamed_reply_the_value(language: Language) -> None:
    prompt = f"Say it again, letter for letter: {EMAIL}, please. "
    # The model sees a prompt of just the length that it repeats.
    prompt = prompt.ljust(PERIOD + len(EMAIL) - len(PLACEHOLDER), ".")
    answer, pieces, _ = language.streamed(prompt, model="guarded")
    assert answer == prompt
    assert any(EMAIL in piece for piece in pieces)  # it left in one piece, though made of letters


def test_what_a_model_says_is_masked_in_a_stream_of_letters(language: Language) -> None:
    prompt = f"My card is {CARD}, so note it down."
    answer, _, _ = language.streamed(prompt.rjust(PERIOD), model="clean")
    assert answer.strip() == prompt.replace(CARD, "**** **** **** 1111")


def test_limits_of_tokens_settle_by_what_a_stream_used(language: Language) -> None:
    prompt = "Stop at the semicolon; say no more".rjust(PERIOD)
    used = 0
    for _ in range(2):
        # Each reserves more than half of the limit, and uses less than a quarter of it.
        answer, _, headers = language.streamed(prompt, model="metered", max_tokens=240, stop=";")
        assert answer == prompt.partition(";")[0]
        used += PERIOD + len(answer) + 1
        assert "ratelimit" in headers
    with pytest.raises(openai.RateLimitError):
        language.streamed(prompt, model="metered", max_tokens=LIMIT - used)

    def counted(kind: str) -> float:
        return language.sample("penstock_tokens_total", model="metered", kind=kind)

    language.mesh.wait(lambda: counted("prompt") == 2 * PERIOD, "the prompts to be counted")
    assert counted("prompt") + counted("completion") == used
    assert language.sample("penstock_time_to_first_token_seconds_count", model="metered") == 2
    assert language.sample("penstock_inter_token_latency_seconds_count", model="metered") == 2


def test_copies_of_a_stream_are_compared_by_what_they_say(language: Language) -> None:
    trace = secrets.token_hex(16)
    language.streamed(
        "Whatever you are told, repeat it all.".rjust(PERIOD),
        model="mirrored",
        extra_headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"},
    )
    file = language.mesh.file
    store = open_store(load_config(file).store_url.render_as_string(hide_password=False))
    found: dict[str, PairRecord] = {}

    def complete() -> bool:
        records = store.pairs.read("mirrored", since=0.0)
        found.update({each.mirror: each for each in records if each.trace_id == trace})
        return len(found) == 2

    language.mesh.wait(complete, "both comparisons")
    assert {mirror: each.outcome.agrees for mirror, each in found.items()} == {
        "same": True,
        "other": False,
    }


def long(*more: str) -> list[dict[str, str]]:
    """A conversation that nobody has had yet, and what is said in it next."""
    return said(secrets.token_hex(800), *more)


def cached(answer: Any) -> int:
    return int(answer.usage.prompt_tokens_details.cached_tokens)


def test_conversations_go_on_where_they_began(language: Language) -> None:
    found = Counter[bool]()

    def converse() -> None:
        first = long()
        text = language.ask(first).choices[0].message.content
        again = language.ask([*first, *said("", text, "Go on.")[1:]])
        found[cached(again) > 1500] += 1

    def shown() -> bool:
        kept = language.sample("penstock_affinity_picks_total", outcome="kept")
        return kept >= 3 and found[True] >= 3

    language.until(shown, converse, "conversations to go on where they began")
    language.mesh.wait(
        lambda: language.sample("penstock_tokens_total", model="parrot", kind="cached") > 3 * 1500,
        "the cached tokens to be counted",
    )


def test_a_beginning_that_all_ask_for_is_asked_of_both(language: Language) -> None:
    first = long()
    language.ask(first)

    def computed(instance: str) -> float:
        return language.sample("penstock_llm_prompt_tokens_total", backend=instance)

    before = {name: computed(name) for name in ("one", "two")}

    def burst() -> None:
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda n: language.ask([*first, *said("", "", f"{n}")[1:]]), range(16)))

    def both() -> bool:
        return all(computed(name) > before[name] for name in before)

    language.until(both, burst, "both to be asked")


def test_conversations_outlive_the_endpoint_that_had_them(language: Language) -> None:
    conversations = [long() for _ in range(4)]
    for each in conversations:
        language.ask(each)
    language.mesh.process("one").kill()
    for each in conversations:
        answer = language.ask([*each, *said("", "yes", "Go on.")[1:]])
        assert answer.usage.prompt_tokens > 1600
    language.mesh.wait(
        lambda: language.sample("penstock_llm_prompt_tokens_total", backend="one") == 0,
        "the series of the one that is gone to end",
    )
