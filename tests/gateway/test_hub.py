"""What workers find out is told to all of a gateway's workers."""

from gateway.discovery import Discovery
from gateway.hub import Hub
from protos import discovery_pb2 as pb
from routing.poison import POISON_TTL
from routing.registry import Registry


def hub():
    registry = Registry()
    return Hub(registry, Discovery(registry, lambda _: None, (), lambda: 0.0))


def poison_of(news):
    return [each.poison.requests[0] for each in news if each.poison.requests]


def test_what_kills_backends_is_told_to_every_worker_and_to_those_that_come_later():
    there, first, later = hub(), [], []
    there.subscribe(first.append)
    there.report(pb.WorkerReport(worker="0/1", poison=[b"fingerprint"]))
    there.subscribe(later.append)
    for told in (first, later):
        (poison,) = poison_of(told)
        assert poison.fingerprint == b"fingerprint"
        assert 0 < poison.seconds <= POISON_TTL
