"""The routes that a worker serves by: one immutable table, replaced as a whole."""

from typing import NamedTuple

from gateway.routes.documents import read_texts
from protos import discovery_pb2 as pb
from protos.errors import Kind, PenstockError
from protos.principal import Principal
from protos.route.mirror import Mirror
from protos.route.snapshot import RouteSnapshot
from protos.values import Headers
from routing.endpoints import EndpointTable
from routing.resolve import resolve
from routing.rules.effect import Effect
from routing.rules.split import pinned
from routing.rules.table import RouteTable


class Interface(NamedTuple):
    """The model version that a public model's interface is read from."""

    model: str
    version: str


class CurrentRoutes:
    """What `apply` was told last; requests that were matched before keep their snapshot."""

    def __init__(self) -> None:
        self.table = RouteTable((), {})

    def apply(self, routing: pb.Routing) -> None:
        """Takes the documents and effects; the table changes in one step, or not at all.

        Raises ConfigError for documents that don't hold. What holds between them whoever sent them
        has checked, in a thread: that takes longer than an event loop may stand still.
        """
        documents = read_texts((file.source, file.text) for file in routing.files)
        effects = {each.route: effect_of(each) for each in routing.effects}
        self.table = RouteTable(documents.routes, effects, documents.policies)

    @property
    def revision(self) -> str:
        return self.table.revision

    def match(self, model: str, principal: Principal, headers: Headers) -> RouteSnapshot:
        """The route of a request; one of its own for a model that no document names."""
        return self.table.match(model, principal, headers)


def interface(table: EndpointTable, route: RouteSnapshot, model: str, version: str) -> Interface:
    """Which model version says how a public model is called: the pinned one, or an arm's.

    The arms of a route serve the same callers, so they have the same interface; the first one that
    has weight and is there speaks for all. Raises what the pin or `resolve` raises.
    """
    if version:
        arm = pinned(route, model, version)[0]
        return Interface(arm.model, resolve(table, arm.model, version))
    failure: PenstockError | None = None
    for arm in route.arms:
        try:
            if arm.weight > 0:
                return Interface(arm.model, resolve(table, arm.model, arm.version))
        except PenstockError as error:
            failure = failure or error
    raise failure or PenstockError(Kind.UNAVAILABLE, f'model "{model}" has no backend')


def may_pin(route: RouteSnapshot, model: str, version: str) -> bool:
    """Whether a client of the public model may ask for this version."""
    try:
        return bool(pinned(route, model, version))
    except PenstockError:
        return False


def served(route: RouteSnapshot) -> set[str]:
    """The models that stand behind a public one."""
    return {arm.model for arm in route.arms}


def effect_message(effect: Effect) -> pb.RolloutEffect:
    """The effect as the supervisor tells it."""
    return pb.RolloutEffect(
        route=effect.route,
        rollout=effect.rollout,
        candidate=effect.candidate,
        weight=effect.weight,
        mirror="" if effect.mirror is None else effect.mirror.model_dump_json(by_alias=True),
    )


def effect_of(message: pb.RolloutEffect) -> Effect:
    """The other way round."""
    mirror = Mirror.model_validate_json(message.mirror) if message.mirror else None
    return Effect(message.route, message.rollout, message.candidate, message.weight, mirror)
