"""What a mesh tells of its gateway's metrics."""

import pytest

from chaos.mesh import Mesh

PAGE = """# TYPE penstock_lease_evictions counter
penstock_lease_evictions_total{worker="0"} 2.0
penstock_lease_evictions_total{worker="1"} 3.0
# TYPE penstock_routes_stale gauge
# EOF
"""


@pytest.fixture
def mesh(monkeypatch: pytest.MonkeyPatch) -> Mesh:
    monkeypatch.setattr(Mesh, "metrics", lambda self: PAGE)
    return Mesh.__new__(Mesh)


def test_a_counter_is_the_sum_of_its_series(mesh: Mesh) -> None:
    assert mesh.counter("penstock_lease_evictions_total") == 5.0
    assert mesh.counter("penstock_lease_evictions_total", worker="1") == 3.0
    assert mesh.counter("penstock_lease_evictions_total", worker="2") == 0.0
    assert mesh.counter("penstock_routes_stale") == 0.0


def test_a_metric_that_is_none_is_not_nothing(mesh: Mesh) -> None:
    with pytest.raises(LookupError, match="no metric penstock_leases_evicted_total"):
        mesh.counter("penstock_leases_evicted_total")
