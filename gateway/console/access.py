"""Who asks a page of the console, and whether what is posted to it was meant.

Pages take a session's cookie or, for programs, an administrator's bearer token. What changes
something takes, with a cookie, three proofs that it comes from our own page: the cookie itself,
which other sites' requests don't carry (SameSite), the browser's word on the origin (RFC 6454), and
the session's token in the form (OWASP's synchroniser token pattern).
"""

import time
from dataclasses import dataclass
from hmac import compare_digest
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from gateway.console.sessions import SESSION_SECONDS, Session, Sessions
from gateway.http.body import read_body
from gateway.http.scope import alternative_names
from policies.authenticate import Authenticate, authorization
from policies.authorize import ADMIN, require_scope
from policies.refusal import Rejected, refusal
from protos.errors import Kind, PenstockError, invalid
from protos.principal import Principal

FORM_BYTES = 64 * 1024
FORM_FIELDS = 32
CSRF = "csrf"  # the form's field
_SAFE = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whoever may see the page; `csrf` goes into its forms and is empty for bearers of tokens."""

    principal: Principal
    csrf: str


class Access:
    """`port` is the console's own: a browser keeps the cookies of all ports of a host together."""

    def __init__(
        self, authenticate: Authenticate, sessions: Sessions, *, port: int, secure: bool
    ) -> None:
        self._authenticate = authenticate
        self._sessions = sessions
        # The prefix makes browsers refuse the cookie from anybody but this host over TLS
        # (RFC 6265bis, 4.1.3.2).
        self._cookie = f"{'__Host-' if secure else ''}penstock_console_{port}"
        self._secure = secure

    def visitor(self, request: Request) -> Visitor:
        """Raises UNAUTHENTICATED without session or token, FORBIDDEN for one without `admin`."""
        credential = authorization(request.scope["headers"])
        session = None if credential else self._session(request)
        if session is not None:
            return Visitor(session.principal, session.csrf)
        names = alternative_names(request.scope)
        if not credential and not names:
            raise refusal(Rejected("there is neither a session of the console nor a token"))
        principal = self._authenticate(credential, names)
        require_scope(principal, ADMIN)
        return Visitor(principal, "")

    async def posted(self, request: Request) -> tuple[Visitor, dict[str, str]]:
        """Who posted which form; raises as `visitor` does, and FORBIDDEN for a form not ours."""
        visitor = self.visitor(request)
        # Nobody's browser sends a bearer token by itself; a certificate it does, like a cookie.
        bears = bool(authorization(request.scope["headers"]))
        if not bears:
            check_origin(request)
        form = await read_form(request)
        if not bears and not (visitor.csrf and _equal(form.get(CSRF, ""), visitor.csrf)):
            raise PenstockError(
                Kind.FORBIDDEN, "the form is not this session's: load the page anew"
            )
        return visitor, form

    def welcome(self, request: Request, response: Response, cookie: str) -> None:
        # Where something in front ends TLS, the browser says so in the origin of its form.
        secure = self._secure or request.headers.get("origin", "").startswith("https:")
        response.set_cookie(
            self._cookie,
            cookie,
            max_age=int(SESSION_SECONDS),
            path="/",
            secure=secure,
            httponly=True,
            samesite="strict",
        )

    def leave(self, request: Request, response: Response) -> None:
        self._sessions.end(request.cookies.get(self._cookie, ""), time.monotonic())
        response.delete_cookie(
            self._cookie, path="/", secure=self._secure, httponly=True, samesite="strict"
        )

    def _session(self, request: Request) -> Session | None:
        cookie = request.cookies.get(self._cookie)
        return None if cookie is None else self._sessions.find(cookie, time.monotonic())


def check_origin(request: Request) -> None:
    """Raises FORBIDDEN unless the browser says that the form stood on a page of this host.

    The scheme isn't compared: what ends TLS before us leaves `https` in the origin.
    """
    if not _ours(request.headers):
        raise PenstockError(Kind.FORBIDDEN, "the form was not sent from a page of this console")


def check_unforged(request: Request) -> None:
    """Raises FORBIDDEN for a change that another site has a browser ask for with its certificate.

    Programs say nothing of an origin, and no browser sends a bearer token by itself.
    """
    headers = request.headers
    if request.method in _SAFE or authorization(request.scope["headers"]):
        return
    if ("origin" in headers or "sec-fetch-site" in headers) and not _ours(headers):
        raise PenstockError(Kind.FORBIDDEN, "the request was sent from a page of another site")


def _ours(headers: Headers) -> bool:
    origins, hosts = headers.getlist("origin"), headers.getlist("host")
    if len(origins) != 1 or len(hosts) != 1:
        return False
    try:
        place = urlsplit(origins[0]).netloc  # of "null" it is empty
    except ValueError:
        return False
    fetched = headers.get("sec-fetch-site", "same-origin")
    return bool(place) and place == hosts[0] and fetched == "same-origin"


async def read_form(request: Request) -> dict[str, str]:
    """The fields of an HTML form, each there once; raises INVALID, TOO_LARGE."""
    body = await read_body(request.scope, request.receive, FORM_BYTES)
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=FORM_FIELDS,
        )
    except ValueError:  # UnicodeDecodeError is one
        raise invalid(
            "the form can't be read: it must be application/x-www-form-urlencoded"
        ) from None
    form = dict(pairs)
    if len(form) < len(pairs):
        raise invalid("the form has a field twice")
    return form


def _equal(given: str, wanted: str) -> bool:
    return compare_digest(given.encode("utf-8", "surrogateescape"), wanted.encode())
