"""A trace collector that takes what it is sent and keeps nothing: `python -m chaos.collector PORT`.

It speaks OTLP over gRPC (opentelemetry.proto.collector.trace.v1), of which an empty message says
that everything was taken.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import grpc

SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"


def main() -> None:
    server = grpc.server(ThreadPoolExecutor(1), options=[("grpc.so_reuseport", 0)])
    take: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(
        lambda _message, _context: b""
    )
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(SERVICE, {"Export": take})]
    )
    server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
