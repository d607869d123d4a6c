from math import inf

import pytest

from policies.pii.names import LONGEST, REMEMBERED, Names
from protos.errors import PenstockError
from protos.principal import Principal
from protos.timeline import Timeline
from protos.values import Context, InferRequest, Tensor, Tensors
from tests.policies.pii.finding import redactor


def named(*names: str, wanted: tuple[str, ...] = (), model: str = "m") -> InferRequest:
    tensors = Tensors(tuple(Tensor(name, "FP32", (0,), b"") for name in names), wanted)
    context = Context(Principal("u", "acme", frozenset()), inf, Timeline(0.0))
    return InferRequest("", model, "", tensors, {}, context)


def checked(names: Names, *given: str) -> None:
    for each in ("m", *given):
        names.check(each, "an input", "acme")


def test_names_are_known_once_they_were_looked_at() -> None:
    names = Names(redactor())
    assert not names.known(named("x"))
    checked(names, "x", "y")
    assert names.known(named("x", wanted=("y",)))
    assert not names.known(named("x", wanted=("z",)))
    assert not names.known(named("x", model="another"))


def test_a_name_with_a_value_in_it_is_refused_and_never_known() -> None:
    names = Names(redactor())
    for _ in range(2):
        with pytest.raises(PenstockError, match=r"the name of an input has in it .*: 1 EMAIL"):
            checked(names, "bob@example.com")
    assert not names.known(named("bob@example.com"))


def test_what_is_remembered_is_bounded() -> None:
    names = Names(redactor())
    checked(names, "x" * (LONGEST + 1))
    assert not names.known(named("x" * (LONGEST + 1)))
    checked(names, *[f"x{number}" for number in range(REMEMBERED)], "m", f"x{REMEMBERED}")
    assert not names.known(named("x0"))
    assert names.known(named(f"x{REMEMBERED}"))
