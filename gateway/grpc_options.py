"""How the gateway's gRPC servers are set up and bound."""

import grpc
from grpc import aio

from gateway.listening import Listener
from protos.errors import invalid
from protos.tls_files import Followed, followed_configuration, renewed_credentials

METADATA_BYTES = 16 * 1024
STREAMS = 1024  # calls of one connection at a time
# How many connections there are, gRPC doesn't bound; what an idle one holds ends.
HANDSHAKE_TIME = 10_000  # milliseconds for TLS, and for HTTP/2's first frame
IDLE_TIME = 300_000  # milliseconds without a call, after which a client that has one connects again


def server_options(message_bytes: int, *, share_port: bool = False) -> list[tuple[str, int]]:
    """Options of a server that takes messages of `message_bytes`.

    gRPC shares ports in silence by default; `share_port` is for workers of one gateway only.
    """
    return [
        ("grpc.so_reuseport", int(share_port)),
        ("grpc.max_receive_message_length", message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_concurrent_streams", STREAMS),
        ("grpc.max_metadata_size", METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", 2 * METADATA_BYTES),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_TIME),
        ("grpc.max_connection_idle_ms", IDLE_TIME),
        # Set together with the backends' and clients' side, or the stricter one cuts the other off.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ]


def certificate(
    use: str, listener: Listener
) -> Followed[grpc.ServerCertificateConfiguration] | None:
    """The listener's files of TLS, if it has any. Raises INVALID for those that can't be used."""
    return None if listener.tls is None else followed_configuration(use, listener.tls)


def bind(
    server: aio.Server,
    listener: Listener,
    shown: Followed[grpc.ServerCertificateConfiguration] | None,
) -> int:
    """Binds the listener's address, with TLS if it has any; returns the port. Raises INVALID."""
    address = str(listener.address)
    try:
        if listener.tls is not None and shown is not None:
            mutual = listener.tls.client_ca is not None
            return server.add_secure_port(address, renewed_credentials(shown, mutual=mutual))
        return server.add_insecure_port(address)
    except RuntimeError as error:
        raise invalid(f"can't listen on {address}: the port is taken or not ours") from error
