"""The model server, through one httpx client: questions about it, and the calls that it answers."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson

from protos.errors import Kind, PenstockError
from protos.openai.errors import refusal

CONNECT_SECONDS = 5.0
# A server that generates on its event loop answers questions late.
QUESTION_SECONDS = 5.0
MOST_BYTES = 64 << 20  # of one whole answer
ERROR_BYTES = 64 << 10


class Upstream:
    """`url` ends in `/v1`, or whatever stands for it; `key_file` is read for every call."""

    def __init__(
        self, url: str, key_file: Path | None, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._url = url.rstrip("/")
        self._root = self._url.removesuffix("/v1")
        self._key_file = key_file
        # Deadlines are ours; the environment's proxies are not for a server beside us. Connections
        # are bounded where calls are.
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            trust_env=False,
            transport=transport,
        )

    @asynccontextmanager
    async def call(
        self, path: str, body: Mapping[str, Any], traceparent: str
    ) -> AsyncIterator[httpx.Response]:
        """A successful answer, whose body is still to be read; leaving early closes it upstream.

        Raises PenstockError: what the server refuses, or UNAVAILABLE if it can't be reached.
        """
        headers = {"content-type": "application/json", **self._credentials()}
        if traceparent:
            headers["traceparent"] = traceparent
        request = self._client.build_request(
            "POST", f"{self._url}{path}", content=orjson.dumps(body), headers=headers
        )
        try:
            response = await self._client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise PenstockError(
                Kind.UNAVAILABLE, "the model's server can't be reached", retry_after=1.0
            ) from error
        try:
            if response.status_code != 200:
                raise await _refused(response, path)
            yield response
        finally:
            await response.aclose()

    async def models(self) -> list[dict[str, Any]]:
        """What the server lists. Raises httpx.HTTPError or ValueError."""
        found = (await self._ask(f"{self._url}/models")).json()
        listed = found.get("data") if isinstance(found, dict) else None
        if not isinstance(listed, list):
            raise ValueError("/v1/models is no list of models")
        return [
            each for each in listed if isinstance(each, dict) and isinstance(each.get("id"), str)
        ]

    async def healthy(self) -> bool | None:
        """What `/health` says; None if the server has none. Raises httpx.HTTPError."""
        response = await self._get(f"{self._root}/health")
        return None if response.status_code in (404, 405) else response.is_success

    async def metrics(self) -> str | None:
        """The Prometheus page; None if the server has none. Raises httpx.HTTPError."""
        response = await self._get(f"{self._root}/metrics")
        return response.text if response.is_success else None

    async def close(self) -> None:
        await self._client.aclose()

    async def _ask(self, url: str) -> httpx.Response:
        return (await self._get(url)).raise_for_status()

    async def _get(self, url: str) -> httpx.Response:
        return await self._client.get(url, headers=self._credentials(), timeout=QUESTION_SECONDS)

    def _credentials(self) -> dict[str, str]:
        if self._key_file is None:
            return {}
        try:
            return {"authorization": f"Bearer {self._key_file.read_text().strip()}"}
        except OSError as error:
            raise PenstockError(
                Kind.UNAVAILABLE, "the key for the model's server can't be read"
            ) from error


async def whole(response: httpx.Response) -> bytes:
    """The answer's body. Raises PenstockError BAD_REPLY for one that is too large."""
    pieces: list[bytes] = []
    received = 0
    async for piece in response.aiter_bytes():
        pieces.append(piece)
        received += len(piece)
        if received > MOST_BYTES:
            raise PenstockError(
                Kind.BAD_REPLY, f"the model's server answered with more than {MOST_BYTES} bytes"
            )
    return b"".join(pieces)


async def _refused(response: httpx.Response, path: str) -> PenstockError:
    body = b""
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > ERROR_BYTES:
            break
    after = response.headers.get("retry-after", "")
    seconds = float(after) if after.isdigit() and len(after) < 6 else None
    return refusal(response.status_code, body, f"/v1{path}", seconds)


def broken() -> PenstockError:
    """The connection ended before the answer did; nobody knows how far the server has come."""
    return PenstockError(Kind.INTERRUPTED, "the model's server broke the connection off")
