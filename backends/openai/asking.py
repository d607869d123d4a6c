"""What the model server is asked: the client's object, less what isn't for clients to say."""

import hashlib
from dataclasses import dataclass
from typing import Any

from protos.exchange_calls import Call
from protos.values import Embedding, OpenAi

DEFAULT_PRIORITY = 2  # of calls that name none


@dataclass(frozen=True, slots=True)
class Asking:
    """What the server is told of every generation.

    `priorities`: the call's priority, as its route allows it, in vLLM's field `priority` (there
    too the lowest number runs first). Without, none: a server that goes by it would go by what
    clients claim. `salts`: whose prompt it is, in vLLM's field `cache_salt`, so that no tenant can
    learn from a quick answer how another's prompt began.
    """

    priorities: bool = False
    salts: bool = False

    def body(self, call: Call, asked: OpenAi, model: str) -> dict[str, Any]:
        """`model` is the server's name for it. What a stream took is asked for elsewhere."""
        body = {**asked.body, "model": model}
        body.pop("priority", None)
        body.pop("stream_options", None)
        if isinstance(asked, Embedding):
            return body
        if self.priorities:
            body["priority"] = call.priority or DEFAULT_PRIORITY
        if self.salts:
            body["cache_salt"] = _salt(call.tenant, body.get("cache_salt"))
        return body


PLAIN = Asking()


def _salt(tenant: str, own: object) -> str:
    """The tenant's, or that of a part of its prompts where the client gives a salt of its own."""
    parts = [tenant, own] if isinstance(own, str) else [tenant]
    digest = hashlib.blake2b(digest_size=16, person=b"cache salt")
    for part in parts:
        text = part.encode(errors="surrogatepass")
        digest.update(len(text).to_bytes(8, "little") + text)
    return digest.hexdigest()
