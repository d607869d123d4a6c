"""What an output policy has to know of the models that it asks."""

from gateway.routes.current import CurrentRoutes, interface
from protos.principal import Principal
from protos.route.snapshot import RouteSnapshot
from protos.values import Signature
from routing.endpoints import EndpointTable
from routing.resolve import signature_of


class Classifiers:
    """`policies.output.judge.Models` over the routes in force and the endpoints there are."""

    def __init__(self, table: EndpointTable, routes: CurrentRoutes) -> None:
        self._table = table
        self._routes = routes

    def route(self, model: str, who: Principal) -> RouteSnapshot:
        """The route by which the gateway itself asks on behalf of a tenant."""
        return self._routes.match(model, who, ())

    def signature(self, route: RouteSnapshot, model: str, version: str) -> Signature:
        """Raises what resolving the model raises."""
        return signature_of(self._table, *interface(self._table, route, model, version))
