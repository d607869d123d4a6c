"""Leases as a registry's snapshot has them, and exchanges whose answers the tests decide."""

from protos import discovery_pb2 as pb


class FakeExchange:
    def __init__(self, address, access_key):
        self.address = address
        self.access_key = access_key
        self.connected = True
        self.silent = False
        self.in_flight = 0
        self.closed = False
        self.given_up = ""

    async def __call__(self, request):
        return await self.answer(request)

    def cut_off(self, reason):
        self.given_up = reason
        self.in_flight = 0

    async def close(self):
        self.connected = False
        self.closed = True


def lease(instance="a", epoch=1, *, models=(("m", "1", pb.READY),), state=pb.HELD, **beat):
    beat = {"address": f"127.0.0.1:{epoch}", "healthy": True, "models_revision": 1, **beat}
    found = pb.Lease(beat=pb.Beat(instance=instance, epoch=epoch, **beat), state=state)
    for name, version, model_state in models:
        model = found.beat.models.models.add(name=name, version=version, state=model_state)
        model.inputs.add(name="x", datatype="FP32", shape=[-1, 4])
    return found


def snapshot(*leases, revision=1):
    return pb.Snapshot(revision=revision, leases=leases)
