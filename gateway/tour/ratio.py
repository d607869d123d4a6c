"""Last stop: how Penstock compares with the wrapper that one writes first."""

import asyncio
import json
import os
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from statistics import median

from gateway.tour.guide import Guide
from gateway.tour.load import Load, Question, question
from gateway.tour.site import Site, until
from protos.errors import Kind, PenstockError
from protos.orphans import die_with

PATH = "/v1/chat/completions"
_CALLERS = 16
_TOKENS = 48  # in each answer
_BLOCK = 3.0  # seconds
_BLOCKS = 2  # of each, in turns: what else the machine does hits both
_WHO = ("Ada", "Bruno", "Clara", "Dario", "Edith", "Felix", "Greta", "Hugo")
_ASKED = ("Who is {}?", "Where does {} work?", "What does {} like to eat?", "Has {} got a pet?")


async def visit(site: Site, guide: Guide) -> None:
    guide.stop(f"{_CALLERS} chats at once, beside a plain web wrapper of the same model")
    model = await site.language_model()
    if model is None:
        guide.say("Nobody serves a language model here, so there is nothing to show.")
        return
    folder, name = model
    bodies = [_body(name, ask.format(who)) for ask in _ASKED for who in _WHO]
    ours = site.questions(PATH, bodies)
    async with _wrapper(folder) as address:
        theirs = [question(address[0], PATH, "", body) for body in bodies]
        for each, questions in ((site.address, ours), (address, theirs)):
            await _rate(each, questions, 0.5)
        rates = [
            (await _rate(site.address, ours), await _rate(address, theirs)) for _ in range(_BLOCKS)
        ]
    mine, plain = (median(each) for each in zip(*rates, strict=True))
    guide.table(
        ("", "tokens a second"),
        [
            ("Penstock: tokens checked, limits, continuous batching", f"{mine:,.0f}"),
            ("Starlette, uvicorn and generate(), nothing else", f"{plain:,.0f}"),
        ],
    )
    ratio = median(a / b for a, b in rates)
    cores = len(os.sched_getaffinity(0))
    guide.say(f"{ratio:.1f} times as many, on {cores} cores that everything here shares.", "bold")


def _body(model: str, asked: str) -> bytes:
    message = {"role": "user", "content": asked}
    told = {"max_tokens": _TOKENS, "temperature": 0, "ignore_eos": True}
    return json.dumps({"model": model, "messages": [message], **told}).encode()


async def _rate(
    address: tuple[str, int], questions: list[Question], seconds: float = _BLOCK
) -> float:
    """Tokens a second."""
    load = Load(address, questions, callers=_CALLERS, once=False)
    return _TOKENS * (await load.run_for(seconds)).rate


@asynccontextmanager
async def _wrapper(folder: Path) -> AsyncIterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address: tuple[str, int] = free.getsockname()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.tour.wrapper", str(address[1]), str(folder)),
        stderr=asyncio.subprocess.DEVNULL,
        preexec_fn=partial(die_with, os.getpid()),
    )
    try:
        await until("the plain web wrapper", lambda: _listens(process, address))
        yield address
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _listens(process: Process, address: tuple[str, int]) -> bool:
    if process.returncode is not None:
        sentence = f"the plain web wrapper ended with status {process.returncode}"
        raise PenstockError(Kind.UNAVAILABLE, sentence)
    try:
        _, writer = await asyncio.open_connection(*address)
    except OSError:
        return False
    writer.close()
    return True
