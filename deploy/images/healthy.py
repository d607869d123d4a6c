"""Ends with status 0 if what is asked is well: `python healthy.py URL …`, for HEALTHCHECK.

Of several URLs one is enough: whether a listener speaks TLS is its configuration's to say. A URL is
`http://…` or `https://…`, which must answer 2xx, or `grpc://HOST:PORT[/SERVICE]`, which must be
SERVING by gRPC's health protocol. Over TLS the certificate isn't looked at: it bears the names that
others use, and this asks its own container.
"""

import ssl
import sys
import urllib.request
from urllib.parse import urlsplit

PATIENCE = 3.0  # seconds


def main() -> int:
    if len(sys.argv) < 2:
        print("usage: healthy.py URL …", file=sys.stderr)
        return 2
    return 0 if any(well(url) for url in sys.argv[1:]) else 1


def well(text: str) -> bool:
    url = urlsplit(text)
    try:
        if url.scheme == "grpc":
            return serving(url.netloc, url.path.strip("/"))
        context = ssl._create_unverified_context() if url.scheme == "https" else None
        with urllib.request.urlopen(url.geturl(), timeout=PATIENCE, context=context):
            return True
    except Exception as error:
        print(f"{url.geturl()}: {type(error).__name__}", file=sys.stderr)
        return False


def serving(address: str, service: str) -> bool:
    """Whether a service says so; raises RpcError."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with grpc.insecure_channel(address) as channel:
        ask = health_pb2_grpc.HealthStub(channel).Check
        reply = ask(health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE)
    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


if __name__ == "__main__":
    sys.exit(main())
