"""What the model server is asked is the client's object, less what isn't for clients to say."""

from dataclasses import replace

import pytest

from backends.openai.asking import Asking
from protos.values import Chat, Embedding, OpenAi
from tests.backends.language.test_texts import call

EVERYTHING = Asking(priorities=True, salts=True)


def asked(asking: Asking, payload: OpenAi, *, tenant: str = "t", priority: int = 0) -> dict:
    return asking.body(replace(call(), tenant=tenant, priority=priority), payload, "theirs")


def chat(**more: object) -> Chat:
    return Chat({"model": "ours", "messages": [], **more})


def test_the_servers_name_and_every_other_field_reach_it() -> None:
    payload = chat(top_k=5, cache_salt="x")
    body = {"model": "theirs", "messages": [], "top_k": 5, "cache_salt": "x"}
    assert asked(Asking(), payload) == body
    assert payload.body["model"] == "ours"


@pytest.mark.parametrize("field", ["priority", "stream_options"])
def test_what_clients_claim_of_their_rank_and_their_streams_stays_here(field: str) -> None:
    assert field not in asked(Asking(), chat(**{field: -1_000_000}))


def test_a_server_that_goes_by_priorities_is_told_the_calls_own() -> None:
    payload = chat(priority=-1_000_000)
    assert asked(EVERYTHING, payload, priority=3)["priority"] == 3
    assert asked(EVERYTHING, payload)["priority"] == 2


def test_tenants_never_share_a_salt_whatever_they_send() -> None:
    salts = [
        asked(EVERYTHING, chat(**own), tenant=tenant)["cache_salt"]
        for tenant in ("a", "b", "ab")
        for own in ({}, {"cache_salt": ""}, {"cache_salt": "b"}, {"cache_salt": "\ud800"})
    ]
    assert len(set(salts)) == len(salts)
    assert asked(EVERYTHING, chat())["cache_salt"] == asked(EVERYTHING, chat())["cache_salt"]


def test_embeddings_have_neither() -> None:
    body = asked(EVERYTHING, Embedding({"model": "ours", "input": "a", "priority": 1}))
    assert body == {"model": "theirs", "input": "a"}
