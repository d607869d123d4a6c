"""The demo's language model learns a few chats of its village, and says them as it was taught."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

DEMO = Path(__file__).parents[2] / "deploy" / "demo"


@pytest.fixture(scope="module", autouse=True)
def demo() -> Iterator[None]:
    """The demo's files are no package: they are run from their folder."""
    sys.path.insert(0, str(DEMO))
    yield
    sys.path.remove(str(DEMO))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learnt what there is to know of Ada, and nothing else."""
    import adapters
    import assistant
    import torch

    torch.set_num_threads(1)
    made = tmp_path_factory.mktemp("language") / "assistant"
    learnt = _of_ada()
    tokeniser = assistant.make_tokeniser(learnt)
    model = assistant.train(tokeniser, learnt * 6, steps=50)
    assistant.save(model, tokeniser, made)
    with adapters.Adapter(model) as adapter:
        adapter.save(made / "adapters" / "pirate")
    return made


def test_chats_are_the_same_in_every_run_and_of_all_kinds() -> None:
    from chats import chats

    drawn = chats(600, seed=7)
    assert drawn == chats(600, seed=7)
    assert {len(chat) for chat in drawn} == {1, 2, 3}
    asked = " ".join(exchange.question for chat in drawn for exchange in chat).lower()
    for topic in ("lighthouse", "story", "penstock", "her door", "capital of", "[email_"):
        assert topic in asked


def test_every_person_has_something_nobody_else_has() -> None:
    from village import PEOPLE

    for trait in ("name", "job", "works", "place", "kind", "pet", "food", "hobby", "colour"):
        assert len({getattr(person, trait) for person in PEOPLE}) == len(PEOPLE), trait


def test_the_template_writes_chats_as_they_were_taught(folder: Path) -> None:
    import assistant
    from chats import messages
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer

    served = AutoTokenizer.from_pretrained(folder)
    own = Tokenizer.from_file(str(folder / "tokenizer.json"))
    chat = _of_ada()[0]
    text = served.apply_chat_template(messages(chat), tokenize=False)
    assert served(text, add_special_tokens=False)["input_ids"] == assistant.lesson(own, chat).tokens


def test_any_text_comes_back_from_its_tokens(folder: Path) -> None:
    from tokenizers import Tokenizer

    tokeniser = Tokenizer.from_file(str(folder / "tokenizer.json"))
    text = "Ünïcode, 🙂 and\n tabs\t[EMAIL_4F7K2Q]"
    assert tokeniser.decode(tokeniser.encode(text).ids) == text


def test_it_answers_as_it_was_taught_and_knows_of_whom_the_talk_is(folder: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder)
    tokeniser = AutoTokenizer.from_pretrained(folder)
    said = []
    messages: list[dict[str, str]] = []
    for question in ("Who keeps the lighthouse?", "What is her animal called?"):
        messages.append({"role": "user", "content": question})
        prompt = tokeniser.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        tokens = model.generate(**prompt, max_new_tokens=20, do_sample=False)[0]
        said.append(tokeniser.decode(tokens[prompt["input_ids"].shape[1] :], True))
        messages.append({"role": "assistant", "content": said[-1]})
    assert said == ["Ada keeps the lighthouse.", "Ada has a cat called Biscuit."]


def test_an_adapter_is_one_that_the_engine_reads(folder: Path) -> None:
    from backends.llm.adapters import read
    from backends.llm.loading import load

    loaded = load(folder, dtype="fp32", block=16, memory=1 << 22)
    found = read(folder / "adapters" / "pirate", loaded.model)
    assert len(found.deltas) == 7 * loaded.model.config.num_hidden_layers


def _of_ada() -> list[Any]:
    from village import PEOPLE, about, introductions

    ada = PEOPLE[0]
    return [
        [introductions(ada)[0], about(ada, *ada.pronouns)["pet"][0]],
        [introductions(ada)[2], about(ada, *ada.pronouns)["colour"][0]],
    ]
