"""The admin face's part about usage."""

import asyncio
import time
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.store.engine import Store
from gateway.usage.question import as_csv, as_objects, question
from policies.authorize import ADMIN
from protos.errors import Kind, PenstockError, invalid
from protos.principal import Principal


def usage_routes(
    store: Callable[[], Store], require: Callable[[Request, str], Principal]
) -> list[Route]:
    """`GET /admin/usage?since=&until=&by=&format=json|csv`; takes the scope `admin`."""

    async def usage(request: Request) -> Response:
        require(request, ADMIN)
        query = request.query_params
        form = query.get("format", "json")
        if form not in ("json", "csv"):
            raise invalid("format: is json or csv")
        given = (query.get("since", ""), query.get("until", ""))
        asked = question(*given, query.get("by", "tenant,model"), time.time())
        try:
            found = await asyncio.to_thread(
                lambda: store().usage.sum(since=asked.since, until=asked.until, by=asked.by)
            )
        except SQLAlchemyError as error:
            why = f"the record store doesn't answer ({type(error).__name__})"
            raise PenstockError(Kind.UNAVAILABLE, why) from error
        if form == "csv":
            return Response(as_csv(found, asked.by), media_type="text/csv")
        return JSONResponse(
            {"since": asked.since, "until": asked.until, "usage": as_objects(found, asked.by)}
        )

    return [Route("/admin/usage", usage)]
