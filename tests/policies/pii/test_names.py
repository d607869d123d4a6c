import pytest

from policies.pii.names import LONGEST, REMEMBERED, Names
from protos.errors import PenstockError
from protos.values import Tensor, Tensors
from tests.policies.pii.finding import redactor


def named(*names: str, wanted: tuple[str, ...] = ()) -> Tensors:
    return Tensors(tuple(Tensor(name, "FP32", (0,), b"") for name in names), wanted)


def test_names_are_known_once_they_were_looked_at() -> None:
    names = Names(redactor())
    assert not names.known(named("x"))
    names.check(["x", "y"], "an input", "acme")
    assert names.known(named("x", wanted=("y",)))
    assert not names.known(named("x", wanted=("z",)))


def test_a_name_with_a_value_in_it_is_refused_and_never_known() -> None:
    names = Names(redactor())
    for _ in range(2):
        with pytest.raises(PenstockError, match=r"the name of an input has in it .*: 1 EMAIL"):
            names.check(["bob@example.com"], "an input", "acme")
    assert not names.known(named("bob@example.com"))


def test_what_is_remembered_is_bounded() -> None:
    names = Names(redactor())
    names.check(["x" * (LONGEST + 1)], "an input", "acme")
    assert not names.known(named("x" * (LONGEST + 1)))
    names.check([f"x{number}" for number in range(REMEMBERED + 1)], "an input", "acme")
    assert not names.known(named("x0"))
    assert names.known(named(f"x{REMEMBERED}"))
