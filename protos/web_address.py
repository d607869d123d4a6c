"""Addresses of servers, as they stand in configurations and command lines, where many can read."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator


def web_address(text: str) -> str:
    """The URL as it is: HTTP or HTTPS to some host. Raises ValueError saying what is wrong.

    A user or password in it is refused: it would be shown by process lists, logs and errors.
    """
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 (raises for what is none)
    except ValueError:
        raise ValueError("is not a URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("begins with http:// or https:// and a host")
    if parts.username is not None:
        raise ValueError("holds a user or password, which belongs into a file")
    return text


WebAddress = Annotated[str, AfterValidator(web_address)]
