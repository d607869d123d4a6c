"""Models as backends tell of them: what can't be is alone in not being served."""

import pytest

from gateway.told_models import MAX_MODELS, MAX_SPECS, Wrong, believe_models
from protos import discovery_pb2 as pb
from protos.principal import Principal

SENDER = Principal("backend", "mesh", frozenset({"backend:join"}))
SCOPED = Principal("b", "mesh", frozenset({"backend:join:fraud-*", "backend:join:broken"}))


def model(name: str = "other", version: str = "1", **fields: object) -> pb.Model:
    given = {"name": name, "version": version, "state": pb.READY, **fields}
    return pb.Model(**given)  # type: ignore[arg-type]


GOOD = model(
    "fraud-eu",
    "3",
    inputs=[pb.TensorSpec(name="x", datatype="FP32", shape=[-1, 4])],
    outputs=[pb.TensorSpec(name="y", datatype="BYTES", shape=[-1])],
)
BROKEN = pb.Model(name="broken", state=pb.UNAVAILABLE, reason="no file in it")


def told(
    *models: pb.Model, sender: Principal = SENDER
) -> tuple[list[tuple[str, str, int]], list[str]]:
    table = pb.ModelTable(models=models)
    wrongs = believe_models(table, sender)
    return [(each.name, each.version, each.state) for each in table.models], wrongs


def test_what_can_be_stays_as_it_is() -> None:
    table = pb.ModelTable(models=[GOOD, BROKEN])
    assert believe_models(table, SCOPED) == []
    assert list(table.models) == [GOOD, BROKEN]


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (model(state=99), "models[1].state: 99 is unknown"),
        (model(reason="r" * 4097), "models[1].reason: is longer"),
        (model(platform="p" * 257), "models[1].platform: is longer"),
        (
            model(inputs=[pb.TensorSpec(name="x", datatype="FLOAT")]),
            'models[1].inputs[0].datatype: "FLOAT" is unknown',
        ),
        (
            model(outputs=[pb.TensorSpec(name="x", datatype="FP32", shape=[-2])]),
            "models[1].outputs[0]: shape has a negative dimension, -2",
        ),
        (
            model(outputs=[pb.TensorSpec(name="x" * 300, datatype="FP32")]),
            "models[1].outputs[0].name: must be 1 to 256",
        ),
        (
            model(inputs=[pb.TensorSpec(name="x", datatype="FP32", shape=[1] * 65)]),
            "models[1].inputs[0]: shape has 65 dimensions",
        ),
        (
            model(inputs=[pb.TensorSpec(name="x", datatype="FP32", shape=[-1, 2**40])]),
            "models[1].inputs[0]: shape has more than",
        ),
        (
            model(inputs=[pb.TensorSpec(name="x", datatype="FP32")] * 2),
            "models[1].inputs: a name is there twice",
        ),
        (
            model(inputs=[pb.TensorSpec(name="x", datatype="FP32")] * 1025),
            "models[1].inputs: there are 1025",
        ),
    ],
)
def test_a_model_that_no_face_can_show_is_unavailable_and_says_why(odd: pb.Model, why: str) -> None:
    table = pb.ModelTable(models=[GOOD, odd, BROKEN])
    (said,) = believe_models(table, SENDER)
    assert said.startswith(why)
    assert list(table.models) == [
        GOOD,
        pb.Model(name="other", version="1", state=pb.UNAVAILABLE, reason=said),
        BROKEN,
    ]


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (model(""), "models[1].name: must be 1 to 256"),
        (model("a\nb"), "models[1].name: must be"),
        (model("m" * 257), "models[1].name: must be"),
        (model(version="1" * 257), "models[1].version: is longer"),
        (GOOD, 'models[1]: "fraud-eu" "3" is there twice'),
    ],
)
def test_one_without_a_name_of_its_own_is_left_out(odd: pb.Model, why: str) -> None:
    models, (said,) = told(GOOD, odd)
    assert models == [("fraud-eu", "3", pb.READY)]
    assert said.startswith(why)


@pytest.mark.parametrize("version", ["", "1"])
def test_so_is_one_that_the_token_is_not_for(version: str) -> None:
    models, (said,) = told(GOOD, model("lost+found", version), sender=SCOPED)
    assert models == [("fraud-eu", "3", pb.READY)]
    assert said == 'models[1]: the token isn\'t for backends of "lost+found"'


def test_a_token_for_none_of_the_models_is_refused() -> None:
    with pytest.raises(Wrong, match='models: the token isn\'t for backends of "risk"'):
        told(BROKEN, model("risk"), sender=SCOPED)
    with pytest.raises(Wrong, match="token"):
        told(GOOD, sender=Principal("b", "m", frozenset({"infer:*"})))


def test_a_table_is_bounded() -> None:
    with pytest.raises(Wrong, match="models: there are 4097 models, more than 4096"):
        told(*[model()] * (MAX_MODELS + 1))
    wide = model(inputs=[pb.TensorSpec(name="x")] * 1024)
    with pytest.raises(Wrong, match="there are 9216 inputs and outputs, more than 8192"):
        told(*[wide] * (MAX_SPECS // 1024 + 1))
