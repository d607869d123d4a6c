"""The one answer to whoever doesn't prove who they are, and why, for operators."""

from protos.errors import Kind, PenstockError


class Rejected(Exception):
    """Why a credential is not accepted; for operators, never for the client."""


def refusal(cause: Exception) -> PenstockError:
    """UNAUTHENTICATED in the same words whatever is wrong; the reason is the error's cause."""
    refused = PenstockError(Kind.UNAUTHENTICATED, "a valid bearer token is required")
    refused.__cause__ = cause
    return refused
