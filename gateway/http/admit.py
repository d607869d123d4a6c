"""What every inference path does first: who asks, by the head alone; then the body."""

from functools import partial

from starlette.types import Receive

from gateway.gate import Gate
from gateway.http.bodies import Bodies
from gateway.http.body import read_body, watch_disconnect
from gateway.http.head import Head
from gateway.http.scope import alternative_names
from protos.principal import Principal


async def admit(
    gate: Gate, head: Head, receive: Receive, bodies: Bodies
) -> tuple[Principal, bytes]:
    """The caller and the body, which `bodies` bounds.

    From then on a client that goes away cancels the work. Raises what authentication, `read_body`
    and `Bodies.hold` raise.
    """
    principal = await gate.authenticate.admit(head.authorization, alternative_names(head.scope))
    head.timeline.principal = principal
    head.timeline.mark("auth", gate.clock())
    body = await read_body(head.scope, receive, bodies.each, partial(bodies.hold, principal.tenant))
    watch_disconnect(head.scope)
    head.timeline.mark("read", gate.clock())
    return principal, body
