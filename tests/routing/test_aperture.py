"""Which endpoints of many a worker uses, and when it uses more or fewer of them."""

from routing.aperture import MIN_APERTURE, WIDEN_ABOVE, Aperture


class Waiting:
    usable = True

    def __init__(self, instance, wait=0.0):
        self.instance = instance
        self.wait = wait

    def predicted_wait(self):
        return self.wait


def test_an_aperture_is_the_same_for_one_worker_and_another_for_others():
    endpoints = tuple(Waiting(f"e{n}") for n in range(16))
    subsets = {
        worker: frozenset(e.instance for e in Aperture(worker).subset(endpoints, 0.0))
        for worker in ("w1", "w2", "w3", "w4")
    }
    assert all(len(subset) == MIN_APERTURE for subset in subsets.values())
    assert subsets["w1"] == frozenset(e.instance for e in Aperture("w1").subset(endpoints, 0.0))
    assert len(set(subsets.values())) > 1


def test_an_aperture_widens_under_load_and_narrows_after_it():
    endpoints = tuple(Waiting(f"e{n}", 2 * WIDEN_ABOVE) for n in range(16))
    aperture = Aperture("w")
    for tick in range(1, 9):
        aperture.subset(endpoints, float(tick))
    assert aperture.width == MIN_APERTURE + 8
    for endpoint in endpoints:
        endpoint.wait = 0.0
    for tick in range(9, 30):
        aperture.subset(endpoints, float(tick))
    assert aperture.width == MIN_APERTURE


def test_losing_an_endpoint_moves_only_its_place_in_the_aperture():
    endpoints = tuple(Waiting(f"e{n}") for n in range(16))
    aperture = Aperture("w")
    before = aperture.subset(endpoints, 0.0)
    after = aperture.subset(tuple(e for e in endpoints if e is not before[0]), 0.0)
    assert len(set(before) & set(after)) == MIN_APERTURE - 1


def test_those_that_died_take_nobodys_place():
    endpoints = tuple(Waiting(f"e{n}") for n in range(16))
    aperture = Aperture("w")
    for endpoint in aperture.subset(endpoints, 0.0):
        endpoint.usable = False
    subset = aperture.subset(endpoints, 1.0)
    assert sum(each.usable for each in subset) == MIN_APERTURE


def test_an_aperture_of_many_dead_reaches_the_few_that_live():
    endpoints = tuple(Waiting(f"e{n}") for n in range(16))
    for endpoint in endpoints[:-1]:
        endpoint.usable = False
    assert endpoints[-1] in Aperture("w").subset(endpoints, 0.0)
