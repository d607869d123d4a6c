"""A request as `penstock routes explain` describes it: who asks for what, without a body."""

from math import inf
from typing import Annotated, Any

from pydantic import Field

from protos.errors import invalid
from protos.principal import Principal
from protos.route.snapshot import RouteSnapshot
from protos.settings import Settings
from protos.strict_yaml import ConfigError, validate, without_lines
from protos.timeline import Timeline
from protos.values import Context, Headers, InferRequest, Tensors

Text = Annotated[str, Field(max_length=8192)]


class Question(Settings):
    """`issuer` is its name in penstock.yaml; it is part of who a subject is."""

    model: Annotated[str, Field(min_length=1, max_length=8192)]
    tenant: Text = ""
    headers: dict[str, Text] = Field(default_factory=dict)
    claims: dict[str, Any] = Field(default_factory=dict)
    subject: Text = ""
    issuer: Text = ""
    version: Text = ""

    @property
    def principal(self) -> Principal:
        return Principal(self.subject, self.tenant, frozenset(), self.issuer, self.claims)

    @property
    def received(self) -> Headers:
        """The headers as a transport would give them."""
        return [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]

    def request(self, route: RouteSnapshot) -> InferRequest:
        """The request, with all that routing looks at."""
        context = Context(self.principal, inf, Timeline(0.0), route=route, headers=self.received)
        return InferRequest("", self.model, self.version, Tensors(()), {}, context)


def question(value: object) -> Question:
    """A question from JSON; raises INVALID."""
    try:
        return validate(without_lines(value, "question"), Question)
    except ConfigError as error:
        raise invalid(error.message) from error
