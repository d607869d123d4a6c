import pytest

from policies.limits import tenants as module
from policies.limits.tenants import Tenants


@pytest.mark.parametrize(
    ("patterns", "for_them", "for_others"),
    [
        (["*"], ["acme", ""], []),
        (["acme"], ["acme"], ["acme2", "", "Acme"]),
        (["free-*"], ["free-", "free-7"], ["free", "my-free-7"]),
        (["*-trial", "acme"], ["a-trial", "acme"], ["trial", "a-trial2"]),
        (["ab*ba"], ["abba", "ab-ba"], ["aba", "ab"]),
    ],
)
def test_a_limit_is_for_whom_its_patterns_name(
    patterns: list[str], for_them: list[str], for_others: list[str]
) -> None:
    tenants = Tenants(patterns)
    for _ in range(2):  # from memory too
        assert all(each in tenants for each in for_them)
        assert not any(each in tenants for each in for_others)


def test_no_number_of_tenants_grows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 10)
    tenants = Tenants(["a*"])
    assert sum(f"{'ab'[n % 2]}{n}" in tenants for n in range(100)) == 50
    assert len(tenants._known) <= 10
