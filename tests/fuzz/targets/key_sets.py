"""What an issuer's server answers: key sets and discovery documents, and keys kept on a disk."""

from policies.discovery_document import keys_address
from policies.jwks import parse_key_set
from policies.refusal import Rejected

ALGORITHMS = ("RS256", "ES256", "EdDSA")
ISSUER = "https://login.example"


def one(data: bytes) -> None:
    for algorithm in ALGORITHMS:
        try:
            keys = parse_key_set(data, algorithm)
        except (Rejected, ValueError, RecursionError):
            continue
        assert all(isinstance(kid, str) for kid in keys.by_id)
    try:
        address = keys_address(data, ISSUER, development=False)
    except (Rejected, ValueError, RecursionError):
        return
    assert address.lower().startswith("https://")
