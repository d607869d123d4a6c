import json
from collections import Counter
from dataclasses import replace
from math import inf
from typing import Any

import pytest

from policies.pii.names import Names
from policies.pii.passage import Passage
from policies.pii.redactor import Redactor
from policies.pii.settings import Pattern, Policy, Rule
from policies.pii.span import Span
from policies.pii.steps import EACH, SLICE, at_once
from protos.arrays import join_bytes, split_bytes
from protos.errors import Kind, PenstockError
from protos.principal import Principal
from protos.timeline import Timeline
from protos.values import (
    Chat,
    Context,
    Embedding,
    InferRequest,
    OpenAi,
    Part,
    Payload,
    Prompt,
    Tensor,
    Tensors,
)
from routing.rules.snapshot import snapshot
from tests.policies.pii.finding import KEY
from tests.routing.rules.written_routes import route

REPLACING = Policy(default=Rule(action="replace"), binaryInputs=("image",))
RESTORING = Policy()
ACCOUNTS = Policy(patterns=(Pattern(entity="ACCOUNT", pattern=r"CORP\\[a-z]+"),))


def passage(policy: Policy = REPLACING) -> Passage:
    redactor = Redactor(policy, KEY)
    return Passage(redactor, Names(redactor), "acme", Counter())


def elements(name: str, *given: bytes) -> Tensors:
    return Tensors((Tensor(name, "BYTES", (len(given),), join_bytes(given)),))


def request(payload: Payload, request_id: str = "", **parameters: Any) -> InferRequest:
    context = Context(Principal("u", "acme", frozenset()), inf, Timeline(0.0))
    return InferRequest(request_id, "m", "", payload, parameters, context)


def hidden(asked: InferRequest, way: Passage | None = None) -> InferRequest:
    return at_once((way or passage()).request(asked))


def redacted(name: str, *given: bytes) -> list[bytes]:
    payload = hidden(request(elements(name, *given))).payload
    return [bytes(element) for element in split_bytes(payload.tensors[0].data)]


def answered(way: Passage, payload: Payload) -> Payload:
    return at_once(way.reply(Part(payload, "1", {}, final=True))).payload


def test_elements_are_redacted_where_they_stand() -> None:
    assert redacted("text", b"hello", b"to bob@example.com") == [b"hello", b"to [EMAIL]"]


def test_the_inputs_name_counts_as_a_word() -> None:
    assert redacted("ssn", b"536904399") == [b"[US_SSN]"]
    assert redacted("order", b"536904399") == [b"536904399"]


def test_json_is_redacted_leaf_by_leaf() -> None:
    (after,) = redacted("text", b'{"mail": "b\\u006fb@example.com", "ssn": 536904399}')
    assert json.loads(after) == {"mail": "[EMAIL]", "ssn": "[US_SSN]"}


def test_a_clean_request_is_the_same_object() -> None:
    clean = request(elements("text", b"hello"), "7", temperature=0.5, stop="END")
    assert hidden(clean) is clean


def test_bytes_that_are_no_text_fail_closed() -> None:
    with pytest.raises(PenstockError, match='input "text": element 1 is no text') as caught:
        redacted("text", b"a", b"\xff")
    assert caught.value.kind is Kind.INVALID
    assert redacted("image", b"\xff", b"hi bob@example.com") == [b"\xff", b"hi [EMAIL]"]


def test_blocked_entities_refuse_the_request_with_types_and_counts() -> None:
    way = passage(Policy(default=Rule(action="block")))
    given = request(elements("text", b"bob@example.com, ann@example.com"), user="eve@example.com")
    with pytest.raises(PenstockError, match="3 EMAIL") as caught:
        hidden(given, way)
    assert caught.value.kind is Kind.FORBIDDEN
    assert "example.com" not in caught.value.message
    assert way.found == {"EMAIL": 3}


def test_string_parameters_are_text_too() -> None:
    after = hidden(request(Tensors(()), user="bob@example.com", temperature=0.5, stop="END"))
    assert after.parameters == {"user": "[EMAIL]", "temperature": 0.5, "stop": "END"}


def test_ids_stay_apart_whatever_becomes_of_what_is_in_them() -> None:
    masking = Policy(default=Rule(action="mask"))
    ids = [
        hidden(request(Tensors(()), name, sequence_id=name), passage(masking))
        for name in ("bob@example.com", "ann@example.com", "bob@example.com", "42")
    ]
    bob, ann, again, plain = [(each.id, each.parameters["sequence_id"]) for each in ids]
    assert bob == again != ann
    assert bob[0].startswith("[EMAIL#")
    assert bob[0] == bob[1]
    assert plain == ("42", "42")


@pytest.mark.parametrize(
    "given",
    [
        request(Tensors((Tensor("bob@example.com", "FP32", (1,), bytes(4)),))),
        request(Tensors((), ("bob@example.com",))),
        request(Tensors(()), **{"bob@example.com": 1}),
    ],
)
def test_names_that_can_not_be_hidden_are_refused(given: InferRequest) -> None:
    with pytest.raises(PenstockError, match=r"the name of an? \w+ has in it .*: 1 EMAIL"):
        hidden(given)


def test_the_requesters_values_come_back_and_the_models_own_stay_hidden() -> None:
    way = passage(RESTORING)
    asked = hidden(request(elements("text", b"I am bob@example.com")), way)
    text = split_bytes(asked.payload.tensors[0].data)[0]
    place = text[5:]

    reply = answered(way, elements("out", b"Hello " + place + b", meet eve@example.com"))

    said = split_bytes(reply.tensors[0].data)[0].decode()
    assert said.startswith("Hello bob@example.com, meet [EMAIL_")
    assert "eve" not in said
    assert way.found == {"EMAIL": 2}


def test_what_the_model_may_not_say_refuses_the_reply() -> None:
    way = passage(Policy(default=Rule(action="block")))
    hidden(request(elements("text", b"hello")), way)
    with pytest.raises(PenstockError, match="refuses what the model says: 1 EMAIL"):
        answered(way, elements("out", b"eve@example.com"))


def test_an_answer_in_json_gets_values_in_the_form_of_json() -> None:
    way = passage(ACCOUNTS)
    asked = hidden(request(elements("text", rb"they call him CORP\bob")), way)
    place = split_bytes(asked.payload.tensors[0].data)[0].decode().removeprefix("they call him ")

    reply = answered(way, elements("out", json.dumps({"name": place}).encode()))

    assert json.loads(split_bytes(reply.tensors[0].data)[0]) == {"name": r"CORP\bob"}


def test_a_long_text_is_redacted_as_a_short_one_would_be_in_steps() -> None:
    line = "Write to bob%d@example.com, or call +1 415 555 01%02d, please.\n"
    text = "".join(line % (number, number % 100) for number in range(4 * SLICE // 50))
    redactor = Redactor(REPLACING, KEY)
    way = Passage(redactor, Names(redactor), "acme", Counter())

    steps = way.request(request(elements("text", text.encode())))
    pauses = 0
    while True:
        try:
            next(steps)
            pauses += 1
        except StopIteration as done:
            after = done.value
            break

    whole = redactor.redact(text, redactor.vault("acme")).text
    assert split_bytes(after.payload.tensors[0].data)[0].decode() == whole
    assert pauses >= 4


@pytest.mark.parametrize(
    "payload",
    [
        elements("text", *[b""] * 5000),
        elements("text", *[b"a"] * 5000),
        elements("image", *[b"\xff"] * 5000),
        Chat({"stop": [""] * 5000}),
        Chat({"stop": ["a"] * 5000}),
        Chat({"metadata": {"x": [7] * 50_000}}),
        Chat({"metadata": [[[]] * 5] * 10_000}),
        Tensors((), tuple(f"x{number}" for number in range(5000))),
    ],
    ids=range(8),
)
def test_short_texts_let_others_have_their_turn_as_well(payload: Payload) -> None:
    """Each counts as some characters at least, also where there is nothing to look at."""
    steps = passage().request(request(payload))
    pauses = 0
    while next(steps, "over") != "over":
        pauses += 1
    assert pauses > 0.9 * 5000 * EACH / SLICE


def test_empty_texts_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Redactor, "find")
    given = request(Chat({"model": "m", "stop": ["", ""]}))
    assert hidden(given, passage(Policy(mode="observe"))) is given


def test_the_name_of_a_model_is_looked_at_unless_the_route_has_it() -> None:
    given = replace(request(Tensors(())), model="gpt-bob@example.com")
    for model, refused in (("gpt-*", True), ("gpt-bob@example.com", False)):
        rules = route(match=[{"model": model}]).route
        context = replace(given.context, route=snapshot(rules, "r", None, {}))
        asked = replace(given, context=context)
        if refused:
            with pytest.raises(PenstockError, match=r"the name of a model has in it .*: 1 EMAIL"):
                hidden(asked)
        else:
            assert hidden(asked) is asked


def test_names_that_only_a_model_knows_are_hidden_in_keys_too() -> None:
    def jane(text: str) -> list[Span]:
        at = text.find("Jane Doe")
        return [Span(at, at + 8, "PERSON", 0.85)] if at >= 0 else []

    way = passage(RESTORING)
    plain, way.redactor = way.redactor, way.redactor.naming(jane)
    asked = hidden(request(Chat({"metadata": {"Jane Doe": "Jane Doe"}})), way).payload
    assert isinstance(asked, Chat)
    assert "Jane" not in json.dumps(asked.body)

    way.redactor = plain
    reply = answered(way, Chat({"metadata": asked.body["metadata"]}))
    assert isinstance(reply, Chat)
    assert reply.body["metadata"] == {"Jane Doe": "Jane Doe"}


def test_numbers_are_text_where_the_api_has_none_of_its_own() -> None:
    card = 4111111111111111
    body = {
        "seed": card,
        "metadata": {"seed": card, "created": -card, "index": float(card), "usage": {"n": card}},
    }
    after = hidden(request(Chat(body))).payload
    assert isinstance(after, Chat)
    assert after.body == {
        "seed": card,
        "metadata": {
            "seed": "[CREDIT_CARD]",
            "created": "-[CREDIT_CARD]",
            "index": "[CREDIT_CARD]",
            "usage": {"n": "[CREDIT_CARD]"},
        },
    }


def test_parameters_that_are_numbers_are_text_too() -> None:
    card = 4111111111111111
    given = {"card": card, "ssn": -536904399.0, "seed": card, "top_p": 0.5, "stream": True}
    after = hidden(request(Tensors(()), **given)).parameters
    assert after == {**given, "card": "[CREDIT_CARD]", "ssn": "-[US_SSN]"}


def test_too_long_an_id_is_refused() -> None:
    with pytest.raises(PenstockError, match="an id has more than 2048 characters"):
        hidden(request(Tensors(()), "x" * (SLICE + 1)))


@pytest.mark.parametrize(
    "payload",
    [
        Prompt({"prompt": "I am bob@example.com"}),
        Embedding({"input": ["I am bob@example.com"]}),
        Chat({"messages": [{"content": [{"image_url": {"url": "http://x/?bob@example.com"}}]}]}),
        Chat({"messages": [{"content": [{"image_url": "http://x/?bob@example.com"}]}]}),
        Chat({"metadata": {"image_url": "bob@example.com"}}),
    ],
)
def test_listing_what_can_not_be_read_excuses_no_text(payload: Payload) -> None:
    listing = Policy(binaryInputs=("prompt", "input", "image_url"))
    after = hidden(request(payload), passage(listing)).payload
    assert isinstance(after, OpenAi)
    assert "bob@" not in json.dumps(after.body)


@pytest.mark.parametrize("text", ["Data: here are my results, please", "data: 1,2", "data:,"])
def test_a_message_about_data_is_a_text(text: str) -> None:
    given = request(Chat({"messages": [{"content": text}]}))
    assert hidden(given).payload is given.payload


def test_nothing_is_refused_or_changed_where_the_policy_observes() -> None:
    way = passage(Policy(mode="observe", default=Rule(action="block")))
    given = request(elements("bob@example.com", b"eve@example.com", b"\xff"), "ann@example.com")
    assert hidden(given, way) is given
    assert way.found == {"EMAIL": 2}


def test_all_of_a_chat_is_text() -> None:
    body = {
        "model": "bob@example.com",
        "messages": [
            {"role": "system", "content": "I know a@example.com"},
            {"role": "bob@example.com", "name": "c@example.com", "content": None},
            {"role": "user", "content": [{"type": "text", "text": "d@example.com"}]},
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": "1", "function": {"name": "f", "arguments": '{"to": "e@example.com"}'}}
                ],
            },
            {"role": "tool", "tool_call_id": "1", "content": '[{"card": 4111111111111111}]'},
        ],
        "tools": [{"type": "function", "function": {"description": "ask f@example.com"}}],
        "metadata": {"g@example.com": "h@example.com"},
        "user": "i@example.com",
        "stop": ["j@example.com"],
        "response_format": {"json_schema": {"schema": {"enum": [4111111111111111]}}},
        "unheard_of": [{"deeper": "k@example.com"}],
        "temperature": 0.5,
        "seed": 4111111111111111,
    }
    before = json.dumps(body)

    after = hidden(request(Chat(body))).payload

    assert isinstance(after, Chat)
    written = json.dumps({**after.body, "model": ""})
    assert "example.com" not in written
    assert written.count("4111111111111111") == 1  # the seed
    assert after.body["messages"][1]["role"] == "[EMAIL]"
    assert after.body["messages"][3]["tool_calls"][0]["function"]["arguments"] == (
        '{"to": "[EMAIL]"}'
    )
    assert after.body["metadata"] == {"[EMAIL]": "[EMAIL]"}
    assert json.dumps(body) == before


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        (Prompt({"prompt": [1, 2, 3]}), "prompt"),
        (Prompt({"prompt": [[1, 2], [3]]}), "prompt"),
        (
            Chat({"messages": [{"content": [{"image_url": {"url": "data:image/png;base64,A"}}]}]}),
            "image_url",
        ),
        (Chat({"messages": [{"content": [{"input_audio": {"data": "QUJD"}}]}]}), "input_audio"),
    ],
)
def test_what_can_not_be_read_fails_closed_unless_it_is_listed(payload: Payload, name: str) -> None:
    with pytest.raises(PenstockError, match=f'input "{name}"'):
        hidden(request(payload))

    listing = passage(Policy(binaryInputs=(name,)))
    assert hidden(request(payload), listing).payload is payload


@pytest.mark.parametrize(
    "field",
    [
        *("logprobs", "prompt_logprobs", "return_token_ids", "return_logprob"),
        *("n_probs", "top_logprobs"),
    ],
)
def test_tokens_beside_the_text_are_refused(field: str) -> None:
    with pytest.raises(PenstockError, match=f"{field}: spells out") as caught:
        hidden(request(Chat({"messages": [], field: True})))
    assert caught.value.param == field
    assert hidden(request(Chat({"messages": [], field: False}))).payload


def test_keys_that_become_one_are_refused() -> None:
    body = {"metadata": {"a@example.com": 1, "b@example.com": 2}}
    with pytest.raises(PenstockError, match="two keys of an object are one"):
        hidden(request(Chat(body)))


def test_arguments_of_tools_get_values_back_as_json_has_them() -> None:
    way = passage(ACCOUNTS)
    asked = hidden(request(Chat({"messages": [{"content": r"a CORP\bob"}]})), way)
    assert isinstance(asked.payload, Chat)
    place = asked.payload.body["messages"][0]["content"].removeprefix("a ")
    arguments = json.dumps({"who": place})
    message = {
        "content": f"so {place}",
        "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": arguments}}],
    }

    reply = answered(way, Chat({"choices": [{"message": message, "logprobs": {"content": [1]}}]}))

    assert isinstance(reply, Chat)
    choice = reply.body["choices"][0]
    assert choice["message"]["content"] == r"so CORP\bob"
    call = choice["message"]["tool_calls"][0]["function"]
    assert json.loads(call["arguments"]) == {"who": r"CORP\bob"}
    assert choice["logprobs"] is None


@pytest.mark.parametrize(
    "spelled",
    [
        {"completion_probabilities": [{"token": "ra"}, {"token": "ven@example.com"}]},
        {"choices": [{"message": {"logprobs": {"content": [{"token": "ra"}]}}}]},
        {"choices": [{"logprobs": {"token_logprobs": [0.5], "tokens": ["ra"]}}]},
        {"metadata": {"deep": [{"prompt_token_ids": [7, 8]}]}},
    ],
)
def test_tokens_beside_the_text_are_left_out_of_replies_wherever_they_are(
    spelled: dict[str, Any],
) -> None:
    reply = answered(passage(), Chat(spelled))
    assert isinstance(reply, Chat)
    told = json.dumps(reply.body)
    assert "null" in told
    assert not [each for each in ('"ra"', "0.5", "7") if each in told]


def test_embeddings_have_text_beside_their_vectors() -> None:
    data = [{"object": "embedding", "index": 0, "embedding": "AACAPw==", "text": "a@example.com"}]
    reply = answered(passage(), Embedding({"object": "list", "data": data}))
    assert isinstance(reply, Embedding)
    assert reply.body["data"] == [{**data[0], "text": "[EMAIL]"}]
