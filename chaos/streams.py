"""Streamed replies under load: each part carries its request's number, and all must come."""

import json
from dataclasses import dataclass

import aiohttp

from chaos.load import Caller, Load
from protos.errors import PenstockError
from protos.sse import Parser

MODEL = "parts"


@dataclass(slots=True)
class Streams(Load):
    """Like Load, of the model `parts`, which answers in so many `parts`."""

    path: str = f"/v2/models/{MODEL}/generate_stream"
    parts: int = 0

    async def _answer(self, caller: Caller, target: str, number: int) -> tuple[int, bool, str, str]:
        session = self._session
        if session is None:
            raise RuntimeError("the load has not begun")
        headers = {"authorization": f"Bearer {caller.token}"}
        async with session.post(
            target + self.path, json={"number": number}, headers=headers
        ) as reply:
            retry_after = reply.headers.get("retry-after", "")
            try:
                said = await reply.read()
            except aiohttp.ClientPayloadError:
                return reply.status, False, retry_after, "cut"
        if reply.status != 200:
            return reply.status, True, retry_after, said[:200].decode(errors="replace")
        return 200, _numbers(said) == [number] * self.parts, retry_after, ""


def _numbers(said: bytes) -> list[object]:
    """The number in each part of a reply; None for each that is no such part."""
    try:
        parts = [json.loads(each.data) for each in Parser().feed(said)]
    except (ValueError, RecursionError, PenstockError):
        return [None]
    return [each.get("number") if isinstance(each, dict) else None for each in parts]
