"""What every inference path does first: who asks, by the head alone; then the body."""

from starlette.types import Receive

from gateway.gate import Gate
from gateway.http.body import read_body, watch_disconnect
from gateway.http.head import Head
from gateway.http.scope import alternative_names
from protos.principal import Principal


async def admit(gate: Gate, head: Head, receive: Receive, limit: int) -> tuple[Principal, bytes]:
    """The caller and the body, of at most `limit` bytes.

    From then on a client that goes away cancels the work. Raises what authentication and
    `read_body` raise.
    """
    principal = await gate.authenticate.admit(head.authorization, alternative_names(head.scope))
    head.timeline.principal = principal
    head.timeline.mark("auth", gate.clock())
    body = await read_body(head.scope, receive, limit)
    watch_disconnect(head.scope)
    head.timeline.mark("read", gate.clock())
    return principal, body
