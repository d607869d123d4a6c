"""The gateway as an operator's tools see it: its admin face, and the control side of its REST."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

from gateway.config import Config
from gateway.listening import FACES, Listener
from gateway.sample import Input, inputs_of
from protos.errors import TABLE, Kind, PenstockError, invalid
from protos.quantities import Address

_QUESTION_SECONDS = 5.0
_LOAD_SECONDS = 600.0
_KINDS = {row.http: kind for kind, row in reversed(TABLE.items())}


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model version on one instance, as its newest beat tells it.

    One that is `decoupled` may reply in several parts.
    """

    instance: str
    name: str
    version: str
    state: str
    reason: str
    revision: str
    platform: str = ""
    decoupled: bool = False

    @property
    def chats(self) -> bool:
        """Whether it is a language model, which is asked in OpenAI's words."""
        return self.platform in ("openai", "llm")


@dataclass(frozen=True, slots=True)
class Instance:
    """A backend process that has joined; `raw` is all that the gateway tells of it."""

    name: str
    state: str
    models: tuple[ServedModel, ...]
    raw: dict[str, Any]


class GatewayClient:
    """Speaks to a gateway on this machine; `token` gives an administrator's bearer token.

    Raises the gateway's own refusals as PenstockError, and UNAVAILABLE when it doesn't answer.
    """

    def __init__(self, config: Config, token: Callable[[], str]) -> None:
        self.public = url(config.listener("http"))
        self._admin = url(config.listener("admin"))
        self._token = token
        self._http = httpx.AsyncClient(verify=_trust(config), trust_env=False)

    async def __aenter__(self) -> "GatewayClient":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def ready(self) -> bool:
        """Whether the gateway can serve any model; False as well when it doesn't answer."""
        try:
            answer = await self._http.get(f"{self.public}/v2/health/ready", timeout=2.0)
        except httpx.HTTPError:
            return False
        return answer.status_code == httpx.codes.OK

    async def instances(self) -> list[Instance]:
        answer = await self._call("GET", f"{self._admin}/admin/endpoints")
        return [_instance(row) for row in answer["endpoints"]]

    async def inputs(self, model: str, version: str) -> tuple[Input, ...]:
        """The interface of a version; without one, of that which requests without one meet."""
        where = f"{self.public}/v2/models/{quote(model)}"
        if version:
            where += f"/versions/{quote(version)}"
        return inputs_of(await self._call("GET", where))

    async def index(self) -> list[dict[str, str]]:
        """Every model version with its state and, where it isn't READY, the reason."""
        rows: list[dict[str, str]] = await self._call(
            "POST", f"{self.public}/v2/repository/index", json={}
        )
        return rows

    async def load(self, model: str) -> None:
        await self._order(model, "load")

    async def unload(self, model: str) -> None:
        await self._order(model, "unload")

    async def rollouts(self) -> dict[str, Any]:
        """All rollouts as the admin face tells them."""
        answer: dict[str, Any] = await self._call("GET", f"{self._admin}/admin/rollouts")
        return answer

    async def rollout_action(self, route: str, action: str) -> dict[str, Any]:
        """Pauses, resumes or aborts the rollout of a route; returns what became of it."""
        where = f"{self._admin}/admin/rollouts/{quote(route, safe='')}/{action}"
        answer: dict[str, Any] = await self._call("POST", where)
        return answer

    async def routes(self) -> dict[str, Any]:
        """The routes in force, and which of them each worker applies."""
        answer: dict[str, Any] = await self._call("GET", f"{self._admin}/admin/routes")
        return answer

    async def console_link(self) -> str:
        """A link to the console that works once, within ten minutes, as the token's bearer."""
        answer = await self._call("POST", f"{self._admin}/admin/console/links")
        return f"{self._admin}{answer['path']}"

    async def explain(self, question: dict[str, Any]) -> dict[str, Any]:
        """Where a request would go, and why; the question is that of gateway/routes/question.py."""
        where = f"{self._admin}/admin/routes/explain"
        answer: dict[str, Any] = await self._call("POST", where, json=question)
        return answer

    async def _order(self, model: str, verb: str) -> None:
        where = f"{self.public}/v2/repository/models/{quote(model)}/{verb}"
        await self._call("POST", where, json={}, patience=_LOAD_SECONDS)

    async def _call(
        self, method: str, where: str, *, json: Any = None, patience: float = _QUESTION_SECONDS
    ) -> Any:
        headers = {"authorization": f"Bearer {self._token()}"}
        try:
            answer = await self._http.request(
                method, where, json=json, headers=headers, timeout=patience
            )
        except httpx.HTTPError as error:
            sentence = (
                f"the gateway doesn't answer at {where}: {type(error).__name__}; if it was started"
                " with --port-offset N, say so here too"
            )
            raise PenstockError(Kind.UNAVAILABLE, sentence) from error
        if answer.is_success:
            return answer.json() if answer.content else None
        raise _refusal(answer)


def url(listener: Listener) -> str:
    """Where a client on this machine reaches an HTTP listener."""
    return f"{'https' if listener.tls else 'http'}://{reachable(listener.address)}"


def reachable(address: Address) -> Address:
    """An address to connect to, for one to listen on: "all interfaces" is no destination."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)
    return Address(host, address.port)


def _trust(config: Config) -> ssl.SSLContext | bool:
    """Trusts the very certificates that the listeners show, whatever names they are for."""
    shown = {tls.certificate for face in FACES if (tls := config.listener(face).tls) is not None}
    if not shown:
        return False  # no TLS at all
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    for certificate in shown:
        try:
            context.load_verify_locations(certificate)
        except OSError as error:  # OpenSSL's errors are such, too
            why = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
            raise invalid(f"the gateway's certificate {certificate} can't be used: {why}") from None
    return context


def _refusal(answer: httpx.Response) -> PenstockError:
    try:
        sentence = str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        sentence = f"{answer.request.url} answered {answer.status_code}"
    return PenstockError(_KINDS.get(answer.status_code, Kind.INTERNAL), sentence)


def _instance(row: dict[str, Any]) -> Instance:
    models = tuple(
        ServedModel(
            row["instance"],
            *(m["name"], m["version"], m["state"], m["reason"], m["revision"]),
            *(m["platform"], m["decoupled"]),
        )
        for m in row["models"]
    )
    return Instance(row["instance"], row["state"], models, row)
