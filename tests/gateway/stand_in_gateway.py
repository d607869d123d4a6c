"""A gateway for the tests of `penstock up`: the faces that it looks at, fed from a file.

    python stand_in_gateway.py HTTP_PORT ADMIN_PORT MESH_FILE

The file holds the answer to /admin/endpoints; what is READY in it has one input of two numbers.
The model `routed` has no version that clients could ask for.
"""

import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MESH = Path(sys.argv[3])


class Face(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/v2/health/ready":
            self.answer(200, {"ready": True})
        elif not self.headers.get("authorization", "").startswith("Bearer ey"):
            self.answer(401, {"error": "a valid bearer token is required"})
        elif self.path == "/admin/endpoints":
            self.answer(200, {"endpoints": json.loads(MESH.read_text())})
        elif self.path == "/v2/models/routed" or (
            "/versions/" in self.path and "/routed/" not in self.path
        ):
            inputs = [{"name": "pair", "datatype": "FP32", "shape": [-1, 2]}]
            self.answer(200, {"inputs": inputs, "outputs": []})
        else:
            self.answer(404, {"error": "not found"})

    def do_POST(self) -> None:
        if self.path == "/admin/console/links":
            self.answer(201, {"path": "/login?code=once", "expires_in": 600})
        else:
            self.answer(404, {"error": "not found"})

    def answer(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


def finish(*_: object) -> None:
    print("gateway finished", flush=True)
    os._exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, finish)
    for port in sys.argv[1:3]:
        server = ThreadingHTTPServer(("127.0.0.1", int(port)), Face)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    print(f"gateway started as {os.getpid()}", flush=True)
    while True:
        signal.pause()
