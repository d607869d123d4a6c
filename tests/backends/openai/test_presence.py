"""What gateways are told of a joined server: its load, and the prompts that it probably keeps."""

from types import SimpleNamespace

import pytest

from backends.host import Identity
from backends.language.kept import Pace, Recent
from backends.language.times import Times
from backends.openai.presence import Presence
from backends.openai.roster import Roster
from backends.openai.signals import Signals
from protos.prefixes import prefixes_of
from protos.values import Prompt
from routing.kept import Kept

IDENTITY = Identity("one", 1, "127.0.0.1:1", "key")
PROMPTS = [prefixes_of(Prompt({"prompt": letter * 1000}), "t", "m") for letter in "ab"]


class Scene:
    def __init__(self) -> None:
        self.watch = SimpleNamespace(unhealthy_reason=None, signals=Signals(2, 3))
        pace = Pace()
        pace.add(1000, 0, 2.0)
        self.forwarder = SimpleNamespace(
            times=Times(), wholes=Times(), in_flight=0, kept=Recent(), pace=pace
        )
        self.roster = Roster({"m": "upstream"})
        self.presence = Presence(
            IDENTITY, self.roster, self.watch, self.forwarder, device="gpu", revision=""
        )

    def send(self, prompt) -> None:
        self.forwarder.kept.touch(
            "t",
            [
                (name, end - before)
                for name, end, before in zip(
                    prompt.names, prompt.ends, (0, *prompt.ends), strict=False
                )
            ],
        )

    def told(self) -> Kept:
        """What a gateway knows after a beat."""
        kept = Kept("key")
        kept.update(self.presence.beat(False).load, 0.0)
        return kept


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_the_queue_empties_at_the_pace_of_whole_answers(scene) -> None:
    scene.forwarder.times.add(1.0)
    scene.forwarder.wholes.add(6.0)
    load = scene.presence.beat(False).load
    assert (load.service_p50_us, load.queued_work_us) == (1_000_000, 4_000_000)


def test_prompts_that_were_sent_are_taken_to_be_kept(scene) -> None:
    scene.send(PROMPTS[0])
    told = scene.told()
    assert told.reach(PROMPTS[0]) == PROMPTS[0].ends[-1]
    assert told.reach(PROMPTS[1]) == 0
    assert told.saves("m", PROMPTS[0]) == pytest.approx(0.002 * PROMPTS[0].ends[-1])


def test_no_more_than_the_servers_cache_holds(scene) -> None:
    for prompt in PROMPTS:
        scene.send(prompt)
    scene.watch.signals = Signals(cache_tokens=300)  # some 1,200 bytes
    told = scene.told()
    assert told.reach(PROMPTS[1]) == PROMPTS[1].ends[-1]
    assert told.reach(PROMPTS[0]) < 256


def test_a_server_that_was_away_has_kept_nothing(scene) -> None:
    scene.send(PROMPTS[0])
    scene.watch.unhealthy_reason = "it can't be reached"
    assert scene.told().reach(PROMPTS[0]) == 0


def test_the_servers_own_figures_are_told(scene) -> None:
    scene.watch.signals = Signals(2, 3, 0.5, ("m:a",), 1, 100, 60, 50, 8, 6)
    load = scene.presence.beat(False).load
    (language,) = load.language
    assert (load.waiting, load.running, load.cache_use, list(load.adapters)) == (2, 3, 0.5, ["m:a"])
    assert (language.waiting, language.running, language.preemptions) == (2, 3, 1)
    assert (language.prompt_tokens, language.cached_tokens) == (100, 60)
    assert (language.drafted_tokens, language.accepted_tokens) == (8, 6)
    assert dict(language.generated_tokens) == {"": 50}
