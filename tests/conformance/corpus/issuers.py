"""Issuers beside the mesh's own: one with a public key in a file, one that publishes its keys."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.policies.issuer_keys import jwk, private_key, public_pem

FILED, PUBLISHED = "https://filed.example", "https://published.example"


@dataclass(frozen=True)
class Issuers:
    """`url` is the server of the published key, which also notes who asks for anything else."""

    filed: Any  # RS256
    published: Any  # ES256, known as "one"
    url: str
    asked: list[str]  # paths
    yaml: str  # their part of a configuration, to follow another issuer's


@contextmanager
def issuing(folder: Path) -> Iterator[Issuers]:
    filed, published = private_key("RS256"), private_key("ES256")
    pem = folder / "filed.pem"
    pem.write_bytes(public_pem(filed))
    keys = json.dumps({"keys": [jwk(published, "ES256", "one")]}).encode()
    asked: list[str] = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("content-length", str(len(keys)))
            self.end_headers()
            self.wfile.write(keys)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    url = f"http://127.0.0.1:{server.server_address[1]}"
    yaml = f"""
  - name: filed
    issuer: {FILED}
    algorithm: RS256
    publicKeyFile: {pem}
  - name: published
    issuer: {PUBLISHED}
    algorithm: ES256
    jwksUrl: {url}/keys
    development: true
"""
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Issuers(filed, published, url, asked, yaml)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
