"""`python -m benchmarks.llm_serving`: language models through the gate, over HTTP.

`penstock backend llm` beside the real `transformers serve --continuous-batching`, joined to the
same mesh, with the same random weights, prompts and numbers of tokens; each has one thread, and
rounds are interleaved.
"""

import asyncio
import os
import shlex
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import openai

from benchmarks import llm
from chaos.mesh import Mesh, free_ports

STREAMS = (1, 16, 32)
ROUNDS = 3
TEXT = "The gate in front of the turbine lets in as much water as the turbine takes. "


def main() -> None:
    os.environ["HF_HUB_OFFLINE"] = "1"
    with TemporaryDirectory() as name, Mesh(Path(name)) as mesh:
        folder = Path(name, "models", "ours")
        llm.write(folder)
        mesh.start_backend("ours", folder.parent, runtime="llm")
        (port,) = free_ports(1)
        options = "--cb-num-blocks 512 --cb-block-size 16 --cb-max-batch-tokens 512"
        program = os.fspath(Path(sys.executable).with_name("transformers"))
        serve = (
            f"env HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 {shlex.quote(program)} serve {folder}"
            f" --continuous-batching {options} --device cpu --dtype float32"
            f" --host 127.0.0.1 --port {port}"
        )
        flags = ("--start", serve, "--model", f"theirs={folder}", "--unlisted")
        mesh.join_openai("theirs", f"http://127.0.0.1:{port}/v1", *flags)
        mesh.wait_ready(("ours", "1"), ("theirs", "1"))
        asyncio.run(_compare(mesh))


async def _compare(mesh: Mesh) -> None:
    async with openai.AsyncOpenAI(
        base_url=f"{mesh.url}/v1", api_key=mesh.token("infer:*"), max_retries=0, timeout=300.0
    ) as client:
        for model in ("ours", "theirs"):
            await _round(client, model, 1, "warm")
        print("streams     ours    theirs  ratio  (tokens/s through the gateway, medians)")
        for streams in STREAMS:
            figures = []
            for at in range(ROUNDS):
                ours = await _round(client, "ours", streams, f"{streams} {at}")
                figures.append((ours, await _round(client, "theirs", streams, f"{streams} {at}")))
            mine, other = (statistics.median(column) for column in zip(*figures, strict=True))
            print(f"{streams:7} {mine:8.0f} {other:9.0f} {mine / other:6.2f}", flush=True)


async def _round(client: openai.AsyncOpenAI, model: str, streams: int, salt: str) -> float:
    """Tokens a second of so many streams at once."""

    async def one(number: int) -> int:
        tokens = 0
        stream = await client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": f"{salt} {number} {TEXT}"}],
            max_tokens=llm.NEW,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
        async for chunk in stream:
            if chunk.usage is not None:
                tokens = chunk.usage.completion_tokens
        return tokens

    begun = time.perf_counter()
    tokens = sum(await asyncio.gather(*[one(number) for number in range(streams)]))
    return tokens / (time.perf_counter() - begun)


if __name__ == "__main__":
    main()
