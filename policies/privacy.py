"""The filter that hides people's data from models, and brings it back in the reply.

It stands above whatever stores, copies or sends a request on, so that all of that sees placeholders
only. It fails closed: what can't be looked at, and what fails while it is looked at, is refused.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from policies.pii.deep.readers import Readers
from policies.pii.kept import in_json
from policies.pii.names import Names
from policies.pii.passage import Passage, names_model
from policies.pii.redactor import Redactor
from policies.pii.settings import PrivacyDocument
from policies.pii.way import Ready, Way, broken
from protos.errors import Kind, PenstockError
from protos.route.policies import Mode
from protos.route.snapshot import RouteSnapshot
from protos.service import Reply, Service
from protos.timeline import Timeline
from protos.values import Context, InferRequest, Part, Payload, Tensors

log = logging.getLogger(__name__)

KIND = "Privacy"


class Privacy:
    """The filter. `key` gives the key of placeholders, and may raise; `clock` is the event loop's.

    `found` counts by route, mode and entity, `refused` requests and replies by route.
    """

    def __init__(
        self,
        key: Callable[[], bytes],
        clock: Callable[[], float],
        readers: Readers | None = None,
    ) -> None:
        self._key = key
        self._clock = clock
        self._readers = readers or Readers()
        self._ready: dict[tuple[int, Mode], Ready] = {}
        self._routes: dict[RouteSnapshot, Ready] = {}
        self.found: defaultdict[tuple[str, Mode], Counter[str]] = defaultdict(Counter)
        self.refused: Counter[str] = Counter()

    def prepare(self, routes: Iterable[RouteSnapshot]) -> None:
        """Makes the policies of these routes ready, which takes tens of milliseconds for each.

        Others are forgotten. One that can't be made ready is logged, and refuses all requests.
        """
        before, self._ready, self._routes = self._ready, {}, {}
        for route in routes:
            if route.spec.privacy is None:
                continue
            try:
                self._routes[route] = self._of(route, before)
            except PenstockError as error:
                log.error("route %s refuses its requests: %s", route.name, error.message)
        asked = (ready.redactor.policy.deep for ready in self._ready.values())
        self._readers.keep({deep for deep in asked if deep is not None})

    async def close(self) -> None:
        """Ends the processes that look for names."""
        await self._readers.close()

    def __call__(self, request: InferRequest, service: Service) -> Awaitable[Reply]:
        route = request.context.route
        if route is None or route.spec.privacy is None:
            return service(request)
        return self._passed(request, service, route)

    async def _passed(self, request: InferRequest, service: Service, route: RouteSnapshot) -> Reply:
        # Not there: a route that was matched before others were loaded.
        ready = self._routes.get(route) or self._of(route, self._ready)
        way: Way | None = None
        hidden = request
        if (
            request.id
            or request.parameters
            or not _numeric(request.payload)
            or not ready.names.known(request)
            or not _made_here(request.context.timeline)
        ):
            began = self._clock()
            way = self._way(ready, request.context, route)
            way.rename()
            if ready.redactor.policy.deep is not None:
                await way.read(request, ready, self._readers.of(ready.redactor.policy.deep))
            hidden = await way.work(way.passage.request(request), request)
            way.passage.redactor = ready.redactor
            request.context.timeline.waited("privacy", began, self._clock())
        try:
            reply = await service(hidden)
        except PenstockError as error:
            way = way or self._way(ready, request.context, route)
            raise way.told(error) from None
        first = reply.first
        unary = reply.rest is None
        if way is None and unary and not first.parameters and _numeric(first.payload):
            return reply
        way = way or self._way(ready, request.context, route)
        try:
            return await way.back(reply)
        except BaseException:
            reply.on_close()
            raise

    def answers(self, route: RouteSnapshot, primary: Sequence[Part], other: Sequence[Part]) -> str:
        """Two answers as JSON that may be kept; empty where no policy redacts them.

        Raises FORBIDDEN where one has in it what the policy blocks.
        """
        passage = self._of_nobody(route)
        return "" if passage is None else in_json(passage, {"primary": primary, "candidate": other})

    def sample(self, route: RouteSnapshot, reply: Sequence[Part]) -> str:
        """A reply as JSON that may be kept; empty where no policy redacts it.

        Names that only a model finds are not looked for here, so where a policy has them looked for
        it is empty too. Raises FORBIDDEN for what the policy blocks.
        """
        passage = self._of_nobody(route)
        if passage is None or passage.redactor.policy.deep is not None:
            return ""
        return in_json(passage, {"reply": reply})

    def sentence(self, route: RouteSnapshot, text: str) -> str:
        """What a model said, within a sentence about it."""
        passage = self._of_nobody(route) if text else None
        return text if passage is None else passage.sentence(text)

    def named(self, route: RouteSnapshot, model: str) -> str:
        """What a client called a model, as it may be recorded: `other` for what may be somebody's.

        A request may be refused before its privacy policy has seen it, and is recorded all the
        same. What the route itself names is no client's choice.
        """
        if route.spec.privacy is None or names_model(route, model):
            return model
        try:
            ready = self._routes.get(route) or self._of(route, self._ready)
        except PenstockError:
            return "other"
        observing = ready.redactor.policy.mode == "observe"
        return model if observing or ready.names.clean(model) else "other"

    def _of_nobody(self, route: RouteSnapshot) -> Passage | None:
        """For texts that are no request's any more: there is nobody to restore anything for."""
        if route.spec.privacy is None:
            return None
        ready = self._routes.get(route) or self._of(route, self._ready)
        passage = Passage(ready.redactor, ready.names, "", Counter())
        passage.vault.close()
        return None if passage.observing else passage

    def _way(self, ready: Ready, context: Context, route: RouteSnapshot) -> "Way":
        mode = ready.redactor.policy.mode
        total = self.found[route.name, mode]
        passage = Passage(ready.redactor, ready.names, context.principal.tenant, total)
        context.timeline.found = passage.found
        return Way(passage, context, route.name, self._clock, self.refused)

    def _of(self, route: RouteSnapshot, known: Mapping[tuple[int, Mode], Ready]) -> Ready:
        """The route's policy. Raises INTERNAL where it can't be applied."""
        document, mode = _policy(route)
        # By identity: a document that didn't change is the same object when all are loaded anew.
        ready = known.get((id(document), mode)) or self._ready.get((id(document), mode))
        if ready is None:
            try:
                policy = document.spec.model_copy(update={"mode": mode})
                redactor = Redactor(policy, self._key())
            except Exception as error:
                raise broken(error) from None
            ready = Ready(document, redactor, Names(redactor))
        self._ready[id(document), mode] = ready
        return ready


def _numeric(payload: Payload) -> bool:
    """Whether there are only numbers in it, and so no text."""
    types = [tensor.datatype for tensor in payload.tensors]
    return type(payload) is Tensors and "BYTES" not in types


def _made_here(timeline: Timeline) -> bool:
    """Whether the face made the request's id, rather than the client."""
    return timeline.named_here or not timeline.request_id


def _policy(route: RouteSnapshot) -> tuple[PrivacyDocument, Mode]:
    """The route's policy, and which of the two modes holds: observing takes one of them."""
    asked = route.spec.privacy
    found = None if asked is None else route.policies.get((KIND, asked.policy))
    if asked is None or not isinstance(found, PrivacyDocument):
        raise PenstockError(Kind.INTERNAL, "the route's privacy policy is not loaded")
    observing = "observe" in (asked.mode, found.spec.mode)
    return found, "observe" if observing else "enforce"
