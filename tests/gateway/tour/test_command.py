"""`penstock tour` as a command: how it ends early, and what it says without a gateway."""

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config import Config, load_config
from gateway.tour import command
from gateway.tour.placed import document
from protos.errors import PenstockError

CONFIG = """
apiVersion: penstock/v1
kind: Penstock
stateFolder: state
issuers:
  - {{name: dev, issuer: dev, algorithm: HS256, secretFile: state/secret, development: true}}
listeners:
  admin: {{address: "127.0.0.1:{port}"}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "penstock.yaml").write_text(CONFIG.format(port=port))
    return load_config(tmp_path / "penstock.yaml")


@pytest.fixture
def as_in_a_terminal() -> Iterator[None]:
    """Nothing is ignored, as it would be under nohup; and all as it was afterwards."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("as_in_a_terminal")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_what_it_put_there_taken_out(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
):
    async def under_way(config: Config) -> None:
        with document(tmp_path / "tour-canary.yaml", ""):
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()

    monkeypatch.setattr(command, "_tour", under_way)
    assert asyncio.run(command._until_ended(config)) == number
    assert not (tmp_path / "tour-canary.yaml").exists()


def test_it_says_what_to_do_where_no_gateway_answers(
    config: Config, capsys: pytest.CaptureFixture[str]
):
    sentence = r"`make up` starts: the gateway doesn't answer at http://127.0.0.1:\d+/"
    with pytest.raises(PenstockError, match=sentence):
        asyncio.run(command._until_ended(config))
    assert capsys.readouterr().out == ""
