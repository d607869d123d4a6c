"""The models that OpenAI's API lists: those that take part in it, as far as the caller may know."""

from typing import Any

from gateway.identity import NAME
from gateway.routes.current import CurrentRoutes, interface
from protos.errors import PenstockError, unknown_model
from protos.openai.embeddings import encoder_of
from protos.principal import Principal
from protos.values import Headers
from routing.endpoints import EndpointTable
from routing.resolve import signature_of


class Models:
    """Answers from the endpoint table and the routes in force."""

    def __init__(self, table: EndpointTable, routes: CurrentRoutes) -> None:
        self._table = table
        self._routes = routes

    def all(self, principal: Principal, headers: Headers) -> list[dict[str, Any]]:
        """Every model that would answer now, by name."""
        found = []
        for name in sorted({*self._table.models(), *self._routes.table.public}):
            try:
                found.append(self.one(principal, name, headers))
            except PenstockError:
                continue  # neither theirs nor, for the moment, anybody's
        return found

    def one(self, principal: Principal, name: str, headers: Headers) -> dict[str, Any]:
        """Raises NOT_FOUND, also for models that take no part, UNAVAILABLE for one of those lost.

        `created` is when the oldest instance that serves it was started.
        """
        if not principal.may_infer(name):
            raise unknown_model(name)
        route = self._routes.match(name, principal, headers)
        target = interface(self._table, route, name, "")
        signature = signature_of(self._table, *target)
        if not signature.openai and encoder_of(signature) is None:
            raise unknown_model(name)
        epoch = min(endpoint.epoch for endpoint in self._table.serving(*target))
        return {"id": name, "object": "model", "created": epoch // 1000, "owned_by": NAME}
