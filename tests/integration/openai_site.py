"""One mesh for all tests of OpenAI's API: a gateway, and a joined model server in this process."""

from dataclasses import dataclass

import openai
import pytest

from chaos.mesh import Mesh
from tests.openai_server import Server

HELLO = [{"role": "user", "content": "hello dear world"}]

# Limits, deadlines, policies and names of their own.
ROUTES = {
    "public.yaml": """
apiVersion: penstock/v1
kind: Route
metadata: {name: public}
spec:
  match: [{model: assistant}]
  backends: [{name: stable, model: echo, version: "1"}]
""",
    "limited.yaml": """
apiVersion: penstock/v1
kind: Route
metadata: {name: limited}
spec:
  match: [{model: limited}]
  backends: [{name: stable, model: echo, version: "1"}]
  limits: [{per: route, requests: 1/1h}]
""",
    "brisk.yaml": """
apiVersion: penstock/v1
kind: Route
metadata: {name: brisk}
spec:
  match: [{model: brisk}]
  backends: [{name: stable, model: echo, version: "1"}]
  limits: [{per: route, requests: 1/s, burst: 1}]
""",
    "hurried.yaml": """
apiVersion: penstock/v1
kind: Route
metadata: {name: hurried}
spec:
  match: [{model: hurried}]
  backends: [{name: stable, model: silent, version: "1"}]
  timeouts: {total: 300ms}
""",
    "guarded.yaml": """
apiVersion: penstock/v1
kind: Route
metadata: {name: guarded}
spec:
  match: [{model: guarded}]
  backends: [{name: stable, model: echo, version: "1"}]
  mirror: [{backend: other, model: undone, version: "1", percent: 100, compare: {kind: auto}}]
  privacy: {policy: bank}
  cache: {ttl: 5m}
  limits: [{per: tenant, tokens: 100k/1h}]
""",
    "forbidding.yaml": """
apiVersion: penstock/v1
kind: Route
metadata: {name: forbidding}
spec:
  match: [{model: forbidding}]
  backends: [{name: stable, model: echo, version: "1"}]
  privacy: {policy: none}
""",
    "none.yaml": """
apiVersion: penstock/v1
kind: Privacy
metadata: {name: none}
spec:
  default: {action: block}
""",
    "bank.yaml": """
apiVersion: penstock/v1
kind: Privacy
metadata: {name: bank}
spec:
  default: {action: restore}
""",
}


@dataclass(frozen=True)
class Site:
    mesh: Mesh
    server: Server
    url: str  # of the model server

    def client(self, *scopes: str, **more: object) -> openai.OpenAI:
        return openai.OpenAI(**self.settings(*scopes), **more)

    def settings(self, *scopes: str) -> dict:
        token = self.mesh.token(*(scopes or ("infer:*",)))
        return {"base_url": f"{self.mesh.url}/v1", "api_key": token, "max_retries": 0}

    def failure(self, model: str, *scopes: str, **more: object) -> openai.APIStatusError:
        with pytest.raises(openai.APIStatusError) as caught:
            self.client(*scopes).chat.completions.create(model=model, messages=HELLO, **more)
        assert caught.value.response.headers["x-request-id"]
        return caught.value

    def status(self, model: str) -> int:
        try:
            self.client().chat.completions.create(model=model, messages=HELLO)
        except openai.APIStatusError as error:
            return error.status_code
        return 200


def same_shape(value) -> None:
    """Whether the package's own types have every field that came, and no wrong one."""
    assert type(value).model_validate(value.model_dump(), strict=True)
