"""An earlier process of an instance joins while the present one serves: a replay of its beats.

It has the right to join, listens where it says, and beats as often as gateways listen.
"""

import asyncio

from grpc import aio

from chaos.experiment import Bench, Experiment
from chaos.invariants import none_failed
from chaos.mesh import Mesh
from chaos.verdict import Verdict
from protos import discovery_pb2 as pb

RATE = 60.0
METHOD = "/penstock.v1.Discovery/Join"
BEHIND = (1, 1000, 3_600_000)  # milliseconds
TIMES = 10


async def run(bench: Bench) -> None:
    model = bench.timed()
    visits = 0

    def visited(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal visits
        visits += 1
        writer.close()

    async with bench.site(model) as site:
        site.backend("present")
        await site.ready(1)
        held = await site.instance("present")
        listening = await asyncio.start_server(visited, "127.0.0.1", 0)
        host, port = listening.sockets[0].getsockname()
        load = bench.load(site, site.caller(RATE))
        answers: list[pb.Directive] = []
        async with listening, load:
            await bench.wait(2.0, short=0.3)
            with bench.fault("its earlier selves join"):
                for _ in range(2 if bench.short else TIMES):
                    for epoch in [held["epoch"] - behind for behind in BEHIND]:
                        beat = _beat(epoch, f"{host}:{port}", "an earlier key")
                        answers.append(await _join(site.gateway, beat))
                    # The same epoch, as of a process that was started in the same millisecond.
                    beat = _beat(held["epoch"], f"{host}:{port}", "another key")
                    answers.append(await _join(site.gateway, beat))
                    await bench.wait(0.5, short=0.1)
            await bench.wait(1.0, short=0.3)
            after = await site.instance("present")
    refused = sum(bool(each.refused) for each in answers)
    bench.hold(
        none_failed(load.history),
        Verdict(
            refused == len(answers),
            "stale epochs are refused",
            f"{refused} of {len(answers)}",
            "all",
        ),
        Verdict(
            (after["epoch"], after["address"]) == (held["epoch"], held["address"]),
            "the present process keeps the name",
        ),
        Verdict(visits == 0, "nothing was sent to the earlier one", f"{visits} connections", "0"),
    )


def _beat(epoch: int, address: str, key: str) -> pb.Beat:
    table = pb.ModelTable(models=[pb.Model(name="timed", version="1", state=pb.READY)])
    return pb.Beat(
        instance="present",
        epoch=epoch,
        address=address,
        access_key=key,
        models_revision=1,
        models=table,
        healthy=True,
    )


async def _join(mesh: Mesh, beat: pb.Beat) -> pb.Directive:
    """The answer to one beat on a stream of its own."""
    metadata = (("authorization", f"Bearer {mesh.join_token.read_text()}"),)
    async with aio.insecure_channel(mesh.address("discovery")) as channel:
        join = channel.stream_stream(
            METHOD,
            request_serializer=pb.Beat.SerializeToString,
            response_deserializer=pb.Directive.FromString,
        )
        call = join(metadata=metadata, timeout=10.0)
        await call.write(beat)
        answer = await call.read()
        call.cancel()
        return answer if isinstance(answer, pb.Directive) else pb.Directive()


EXPERIMENT = Experiment(
    "stale-epoch", 5, "An earlier process of the same name joins", run, short=True
)
