"""Answers judged by a classifier: what it is asked, and what becomes of what it says."""

from collections import Counter
from math import inf, nan

import numpy as np
import pytest

from protos.arrays import to_tensor
from protos.errors import Kind, PenstockError
from protos.values import Part
from tests.policies.output.screened import (
    CLASSIFIER,
    Model,
    Models,
    chunk,
    heard,
    output,
    parts,
    request,
    route,
    said,
    text_of,
    texts,
)

RUDE = "You are a fool. "


def rude(text: str) -> float:
    return 0.9 if "fool" in text else 0.1


def judged(mode: str = "enforce", **classifier: object):
    return route(mode, classifier={**CLASSIFIER, **classifier})


async def test_a_whole_answer_is_judged_as_it_is():
    model = Model(parts(texts("One. Two.", "Three.")), rude)
    await said(await output()(request(judged()), model))
    assert model.judged == [["One. Two.", "Three."]]


async def test_what_it_finds_is_refused_with_label_and_count():
    filter_, asking = output(), request(judged())
    with pytest.raises(PenstockError) as refused:
        await filter_(asking, Model(parts(texts(RUDE, "Fine.")), rude))
    assert refused.value.kind is Kind.FORBIDDEN
    assert refused.value.message == "the output policy refuses what the model says: 1 score"
    assert asking.context.timeline.screened == {"score": 1}
    assert asking.context.timeline.refused == "output"
    assert filter_.found["fraud", "enforce"] == {"score": 1}


async def test_it_sees_what_is_left_after_masking():
    on = route(
        entities={"CREDIT_CARD": {"action": "mask"}}, classifier={**CLASSIFIER, "timeout": "1s"}
    )
    model = Model(parts(texts("It is 4111 1111 1111 1111.")), rude)
    await said(await output()(request(on), model))
    assert model.judged == [["It is **** **** **** ****."]]


async def test_a_stream_is_judged_by_sentences_before_they_are_said():
    pieces = ["Hello the", "re. How are", " you? ", RUDE, "Bye."]
    model = Model(parts(*map(texts, pieces)), rude)
    reply = await output()(request(judged()), model)
    found: list[Part] = []
    with pytest.raises(PenstockError, match="1 score"):
        await heard(reply, found)
    assert text_of(found) == "Hello there. How are you? "
    sentences = [row for rows in model.judged for row in rows]
    assert sentences == ["Hello there. ", "How are you? ", RUDE, "Bye."]


async def test_of_openais_objects_only_what_is_said_is_judged():
    model = Model(parts(chunk("Hello. "), chunk("Bye."), chunk("", finish="stop")), rude)
    found = await said(await output()(request(judged()), model))
    assert text_of(found) == "Hello. Bye."
    assert [row for rows in model.judged for row in rows] == ["Hello. ", "Bye."]


async def test_the_gateway_asks_by_itself_for_the_tenant_within_the_deadline():
    models, model = Models(), Model(parts(texts("Fine.")), rude)
    await said(await output(models)(request(judged(timeout="200ms"), deadline=inf), model))
    await said(await output(models)(request(judged(timeout="200ms"), deadline=0.1), model))
    first, second = (each.context for each in model.asked)
    assert (first.deadline, second.deadline) == (0.2, 0.1)
    assert (first.principal.subject, first.principal.tenant) == ("penstock", "acme")
    assert first.principal.may_infer("toxic")
    assert not first.principal.may_infer("fraud")
    assert first.route is not None
    assert (first.route.name, first.traceparent, first.headers) == ("classifiers", "trace", ())
    assert first.timeline.route == ""  # the judged request's own is untouched


@pytest.mark.parametrize(
    ("shape", "batch", "asked"),
    [((-1, 1), 2, [(2, 1), (1, 1)]), ((-1,), 8, [(3,)]), ((1,), 0, [(1,), (1,), (1,)])],
)
async def test_rows_are_as_the_model_takes_them(shape, batch, asked):
    model = Model(parts(texts("a", "b", "c")), rude)
    await said(await output(Models(shape, batch))(request(judged()), model))
    assert [each.payload.tensors[0].shape for each in model.asked] == asked
    assert [each.payload.wanted for each in model.asked] == [("score",)] * len(asked)


COLUMNS = {"columns": ["fine", "toxic", "threat"], "labels": ["toxic", "threat"]}


async def test_columns_are_named():
    model = Model(parts(texts("a", "b", "c")))
    scores = np.array([[0.9, 0.1, 0.0], [0.1, 0.9, 0.6], [0.2, 0.5, 0.3]], np.float64)
    model.answer = lambda rows: to_tensor("score", scores)
    with pytest.raises(PenstockError, match="says: 1 threat, 2 toxic"):
        await said(await output()(request(judged(**COLUMNS)), model))


async def test_labels_are_texts():
    model = Model(parts(texts("a", "b", "c")))
    model.answer = lambda rows: to_tensor("score", np.array([b"ok", b"toxic", b"rude"], object))
    on = route(classifier={**CLASSIFIER, "threshold": None, "labels": ["toxic", "threat"]})
    with pytest.raises(PenstockError, match="says: 1 toxic"):
        await said(await output()(request(on), model))


def failing() -> dict[str, Model]:
    """Classifiers that give no judgement."""
    models = {
        name: Model(parts(texts("Fine.")))
        for name in ("down", "nan", "rows", "words", "another output", "bf16")
    }
    models["down"].failure = PenstockError(Kind.DEADLINE, "too late for Fine.")
    models["nan"].answer = lambda rows: to_tensor("score", np.array([[nan]], np.float32))
    models["rows"].answer = lambda rows: to_tensor("score", np.array([[0.1, 0.2]], np.float32))
    models["words"].answer = lambda rows: to_tensor("score", np.array([b"no"], object))
    models["another output"].answer = lambda rows: to_tensor("s", np.array([0.1], np.float32))
    models["bf16"].answer = lambda rows: to_tensor("score", np.array([7], np.uint16), "BF16")
    return models


@pytest.mark.parametrize("why", failing())
async def test_without_a_judgement_nothing_is_said_unless_the_policy_says_so(
    why: str, caplog: pytest.LogCaptureFixture
):
    model, filter_ = failing()[why], output()
    asking = request(judged())
    with pytest.raises(PenstockError) as refused:
        await filter_(asking, model)
    assert refused.value.kind is Kind.UNAVAILABLE
    assert asking.context.timeline.refused == "output"
    passes = await said(await filter_(request(judged(onFailure="pass")), model))
    assert text_of(passes) == "Fine."
    observed = await said(await filter_(request(judged("observe")), model))
    assert text_of(observed) == "Fine."
    assert filter_.unjudged == Counter({"fraud": 3})
    assert "Fine" not in caplog.text  # nor what others say of it


async def test_a_model_without_such_an_input_judges_nothing():
    model = Model(parts(texts("Fine.")))
    with pytest.raises(PenstockError) as refused:
        await output()(request(judged(input="words")), model)
    assert refused.value.kind is Kind.UNAVAILABLE
    assert "no input words" in str(refused.value.__cause__)


async def test_observing_only_counts():
    filter_, model = output(), Model(parts(texts(RUDE), texts("Bye.")), rude)
    found = await said(await filter_(request(judged("observe")), model))
    assert text_of(found) == f"{RUDE}Bye."
    assert filter_.found["fraud", "observe"] == {"score": 1}
    assert not filter_.refused


async def test_silence_is_not_judged():
    model = Model(parts(texts(""), texts("  \n"), texts("")), rude)
    await said(await output()(request(judged()), model))
    assert model.judged == []
