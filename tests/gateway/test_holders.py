"""Whose an instance is until it is evicted, and how much one principal may take."""

from dataclasses import replace

from gateway.holders import MAX_BYTES, SHARE_BYTES, SHARE_INSTANCES, Claim, Holders
from protos.principal import Principal

JOIN = frozenset({"backend:join"})
ANN = Principal("ann", "mesh", JOIN)
EVE = Principal("eve", "mesh", frozenset({"backend:join:m"}))

FIRST = Claim("a", ANN, "key", epoch=1, stream=1, table=100, rest=10)
HELD = "instance a is held by somebody else"


def holders() -> Holders:
    made = Holders()
    made.took(FIRST)
    return made


def test_nobody_else_takes_an_instance_over_until_it_is_evicted() -> None:
    held = holders()
    for overdue in (False, True):
        for key in ("other", ""):
            claim = replace(FIRST, sender=EVE, access_key=key, epoch=2**60)
            assert held.fault(claim, overdue) == HELD
    held.forget("a")
    assert held.fault(replace(FIRST, sender=EVE, access_key="other"), True) is None


def test_the_holder_may_start_anew_and_its_credential_may_change() -> None:
    held = holders()
    assert held.fault(replace(FIRST, access_key="of the next start"), False) is None
    renamed = Principal("ann, by a new name", "mesh", JOIN)
    assert held.fault(replace(FIRST, sender=renamed), False) is None


def test_a_next_start_with_an_exchanged_token_is_let_in_after_a_lease() -> None:
    exchanged = replace(FIRST, sender=Principal("ann-2", "mesh", JOIN), access_key="next")
    assert holders().fault(exchanged, False) == HELD
    assert holders().fault(exchanged, True) is None


def test_names_of_different_tenants_and_issuers_are_not_the_same() -> None:
    for other in (Principal("ann", "rival", JOIN), Principal("ann", "mesh", frozenset(), "idp")):
        claim = replace(FIRST, sender=other, access_key="other", epoch=2)
        assert holders().fault(claim, True) == HELD


def test_an_instance_without_a_key_is_not_everybodys() -> None:
    held = Holders()
    held.took(replace(FIRST, access_key=""))
    assert held.fault(replace(FIRST, sender=EVE, access_key=""), False) is not None


def test_the_newest_stream_of_the_newest_process_speaks() -> None:
    held = holders()
    held.took(replace(FIRST, stream=2))
    held.took(FIRST)  # the former one is not over yet
    assert held.speaks("a", 1, 2)
    assert not held.speaks("a", 1, 1)
    held.took(replace(FIRST, epoch=2, stream=1))
    assert held.speaks("a", 2, 1)
    assert not held.speaks("b", 2, 1)


def test_what_is_told_is_bounded_by_principal() -> None:
    held = holders()
    full = Claim("b", ANN, "k", 1, 2, SHARE_BYTES - 110, 0)
    refused = "models: the beats of this token's principal take more than"
    assert str(held.fault(replace(full, rest=1), False)).startswith(refused)
    assert held.fault(full, False) is None
    held.took(full)
    # One that is replaced doesn't count twice, and a beat without a table keeps the one it has.
    assert held.fault(full, False) is None
    held.took(replace(full, table=0))
    assert held.fault(replace(FIRST, table=0), False) is None
    assert str(held.fault(replace(FIRST, table=0, rest=11), False)).startswith(refused)
    assert held.fault(replace(FIRST, sender=EVE, instance="c"), False) is None
    held.forget("b")
    held.forget("b")
    assert held.fault(replace(FIRST, rest=11), False) is None


def test_all_of_it_together_is_bounded_and_puts_out_nobody_who_has_joined() -> None:
    held = Holders()
    for number in range(MAX_BYTES // SHARE_BYTES):
        sender = Principal(str(number), "mesh", JOIN)
        held.took(Claim(str(number), sender, "k", 1, number, SHARE_BYTES, 0))
    assert "all backends take more" in str(held.fault(FIRST, False))
    assert held.fault(replace(FIRST, table=0), False) is None


def test_one_principal_does_not_hold_all_instances() -> None:
    held = Holders()
    for number in range(SHARE_INSTANCES):
        held.took(Claim(str(number), EVE, "", 1, number, 1, 1))
    assert held.fault(Claim("0", EVE, "", 2, 9999, 1, 1), False) is None
    assert "holds 1000 instances already" in str(held.fault(replace(FIRST, sender=EVE), False))
    assert held.fault(FIRST, False) is None
