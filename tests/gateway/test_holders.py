"""Whose an instance is, while its lease lasts."""

from gateway.holders import MAX_INSTANCES, MAX_TABLES, Holders


def holders() -> Holders:
    made = Holders(lease=5.0)
    made.took("a", "ann", "key", 100, 0.0)
    return made


def test_nobody_else_takes_an_instance_over_while_its_lease_lasts() -> None:
    held = holders()
    assert held.fault("a", "eve", "other", 100, 5.0) == "instance a is held by somebody else"
    assert held.fault("a", "eve", "", 100, 5.0) == "instance a is held by somebody else"
    assert held.fault("a", "eve", "other", 100, 5.1) is None


def test_the_holder_may_start_anew_and_its_credential_may_change() -> None:
    held = holders()
    assert held.fault("a", "ann", "a key of the next start", 100, 1.0) is None
    assert held.fault("a", "ann, by a new name", "key", 100, 1.0) is None


def test_an_instance_without_a_key_is_not_everybodys() -> None:
    held = Holders(lease=5.0)
    held.took("a", "ann", "", 100, 0.0)
    assert held.fault("a", "eve", "", 100, 1.0) is not None


def test_what_is_forgotten_is_free() -> None:
    held = holders()
    held.forget("a")
    held.forget("a")
    assert held.fault("a", "eve", "other", MAX_TABLES, 0.0) is None


def test_all_tables_together_are_bounded() -> None:
    held = holders()
    refused = "models: the tables of all backends take more than"
    assert str(held.fault("b", "bob", "k", MAX_TABLES - 99, 0.0)).startswith(refused)
    assert held.fault("b", "bob", "k", MAX_TABLES - 100, 0.0) is None
    held.took("b", "bob", "k", MAX_TABLES - 100, 0.0)
    # One that is replaced doesn't count twice, and beats without a table add nothing.
    assert held.fault("b", "bob", "k", MAX_TABLES - 100, 1.0) is None
    held.took("b", "bob", "k", 0, 1.0)
    assert held.fault("a", "ann", "key", 0, 1.0) is None
    assert str(held.fault("a", "ann", "key", 101, 1.0)).startswith(refused)


def test_so_are_the_instances() -> None:
    held = Holders(lease=5.0)
    for number in range(MAX_INSTANCES):
        held.took(str(number), "ann", "", 1, 0.0)
    assert held.fault("0", "ann", "", 1, 1.0) is None
    assert str(held.fault("new", "ann", "", 1, 1.0)).startswith("this mesh holds 10000")
