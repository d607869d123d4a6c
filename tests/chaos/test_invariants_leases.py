"""What is held against leases and restarts: both outcomes of each."""

from chaos.invariants import nobody_evicted


def test_a_lease_that_ran_out_is_told() -> None:
    assert nobody_evicted(0.0).holds
    assert not nobody_evicted(1.0).holds
