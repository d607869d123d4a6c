"""Fourth stop: what a person writes, what the model sees, and what the person gets."""

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from gateway.tour.guide import Guide
from gateway.tour.site import Site, until
from protos.errors import Kind, PenstockError

ROUTE = "tour-private"
_WORDS = "My card is 4111 1111 1111 1111, write to ada@example.org. Who keeps the lighthouse?"

_POLICY = """\
apiVersion: penstock/v1
kind: Privacy
metadata: {{name: {route}, owner: tour}}
spec:
  default: {{action: restore}}
  entities:
    CREDIT_CARD: {{action: mask, keepLast: 4}}
  phoneRegions: [GB, US]
"""
_DOCUMENT = """\
apiVersion: penstock/v1
kind: Route
metadata: {{name: {route}, owner: tour}}
spec:
  match: [{{model: {route}}}]
  backends: [{{name: only, model: "{model}"}}]
  privacy: {{policy: {route}}}
  audit: {{payloads: 100%}}
"""


async def visit(site: Site, guide: Guide) -> None:
    guide.stop("What a person writes, and what the model sees")
    model = await site.language_model()
    if model is None:
        guide.say("Nobody serves a language model here, so there is nothing to show.")
        return
    policy, document = (text.format(route=ROUTE, model=model[1]) for text in (_POLICY, _DOCUMENT))
    with site.document(f"{ROUTE}-policy.yaml", policy), site.document(f"{ROUTE}.yaml", document):
        await site.routed(ROUTE)
        samples = Samples(site.config.audit_folder / "payloads")
        answer = await _ask(site)
        guide.quote("the person", _WORDS)
        find = partial(asyncio.to_thread, samples.find, answer.headers["x-request-id"])
        guide.quote("the model saw", _said(await until("the sample of what the model saw", find)))
    said = answer.json()["choices"][0]["message"]["content"]
    guide.quote("it answered", said)
    guide.say(
        "What it saw is read from the audit log's samples. Placeholders in an answer become the"
        " person's own words again; caches, mirrors, logs and traces see none of them."
    )


async def _ask(site: Site) -> httpx.Response:
    body = {
        "model": ROUTE,
        "messages": [{"role": "user", "content": _WORDS}],
        "max_tokens": 40,
        "temperature": 0,
    }
    headers = {"authorization": f"Bearer {site.tokens[0]}"}
    async with httpx.AsyncClient(trust_env=False, timeout=30.0) as client:
        where = f"{site.client.public}/v1/chat/completions"
        try:
            answer = await client.post(where, json=body, headers=headers)
            return answer.raise_for_status()
        except httpx.HTTPError as error:
            sentence = f"the chat has no answer: {type(error).__name__}"
            raise PenstockError(Kind.UNAVAILABLE, sentence) from error


class Samples:
    """The requests that the audit log keeps from now on; only whole lines are read, and once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read = {file: file.stat().st_size for file in folder.glob("*.jsonl")}

    def find(self, request_id: str) -> dict[str, Any] | None:
        """The request as it was sent to the model, if it is among the new ones."""
        for file in self._folder.glob("*.jsonl"):
            with file.open("rb") as lines:
                lines.seek(self._read.get(file, 0))
                for line in lines:
                    if not line.endswith(b"\n"):
                        break
                    self._read[file] = self._read.get(file, 0) + len(line)
                    # A process that is killed leaves half a line, which the next one ends.
                    if request_id.encode() in line and line.endswith(b"}\n"):
                        kept: dict[str, Any] = json.loads(line)
                        return kept
        return None


def _said(kept: dict[str, Any]) -> str:
    return str(kept["request"]["messages"][-1]["content"])
