"""The pages that only show something: what each is asked, and whom it asks."""

import time
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from gateway.audit.metrics import FAILING, is_failing
from gateway.console.access import Access
from gateway.console.alarms import alarms
from gateway.console.answers import Answers
from gateway.console.frame import Frame
from gateway.console.headers import REPORT_POLICY, html
from gateway.console.overview import overview
from gateway.console.requests import FILTERS, request_page, requests_page
from gateway.console.rollouts import rollouts_page
from gateway.console.shadow import shadow_page
from gateway.console.shown import Shown
from gateway.console.traffic import Traffic
from gateway.console.usage import usage_page
from protos.errors import Kind, PenstockError

ROLLOUTS = "rollouts"  # the question's name


class Pages:
    """A method for each; all raise what `Access.visitor` does."""

    def __init__(self, shown: Shown, access: Access, frame: Frame, answers: Answers) -> None:
        self._shown = shown
        self._access = access
        self._frame = frame
        self._answers = answers
        self._traffic = Traffic(shown.history)

    async def overview(self, request: Request) -> Response:
        visitor, shown = self._access.visitor(request), self._shown
        rollouts = await self._answers.ask(ROLLOUTS, shown.rules.rollouts.read_status)
        traffic = await self._traffic.parts()
        failing = shown.audit.chain.failing or is_failing(shown.hub.workers.told({FAILING}))
        found = alarms(shown.hub, shown.rules, shown.history, failing)
        content = overview(shown.hub, shown.history, traffic, found, rollouts)
        return html(self._frame.page("Overview", "/", visitor, *content))

    async def requests(self, request: Request) -> Response:
        visitor, wanted = self._access.visitor(request), filters(request)
        found = self._shown.recent.find(wanted, time.monotonic())
        content = requests_page(found, wanted)
        return html(self._frame.page("Requests", "/requests", visitor, *content))

    async def request(self, request: Request) -> Response:
        visitor = self._access.visitor(request)
        wanted = {"trace_id": request.path_params["trace"]}
        found = self._shown.recent.find(wanted, time.monotonic())
        if not found:
            raise PenstockError(Kind.NOT_FOUND, "the request isn't kept any longer, or never was")
        return html(self._frame.page("Request", "/requests", visitor, *request_page(found[0])))

    async def rollouts(self, request: Request) -> Response:
        visitor = self._access.visitor(request)
        status = await self._answers.ask(ROLLOUTS, self._shown.rules.rollouts.read_status)
        content = rollouts_page(status, visitor)
        return html(self._frame.page("Rollouts", "/rollouts", visitor, *content))

    async def usage(self, request: Request) -> Response:
        visitor, shown = self._access.visitor(request), self._shown
        since = f"{datetime.now(UTC):%Y-%m}-01"
        found = await self._answers.ask(
            f"usage since {since}",
            lambda: shown.store().usage.sum(since=since, until="9999", by=("tenant", "model")),
        )
        content = usage_page(found, since, shown.history, shown.rules)
        return html(self._frame.page("Usage", "/usage", visitor, *content))

    async def shadow(self, request: Request) -> Response:
        visitor, shown = self._access.visitor(request), self._shown
        found = await self._answers.ask("mirrored", lambda: shown.store().pairs.routes())
        content = shadow_page(found, shown.history)
        return html(self._frame.page("Shadow", "/shadow", visitor, *content))

    async def report(self, request: Request) -> Response:
        self._access.visitor(request)
        query = request.query_params
        page = await self._shown.report(query.get("route", ""), query.get("since", "24h"))
        return HTMLResponse(page, headers={"content-security-policy": REPORT_POLICY})


def filters(request: Request) -> dict[str, str]:
    """Those that are filled in."""
    query = request.query_params
    return {name: value for name in FILTERS if (value := query.get(name, "").strip())}
