"""A port that is taken is named with its use and with who has it."""

import os
import socket

import pytest

from gateway.ports import check_free, free, holder
from protos.errors import PenstockError
from protos.quantities import Address


@pytest.fixture
def taken():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_free_ports_pass():
    check_free({"http": Address("127.0.0.1", free_port()), "grpc": Address("127.0.0.1", 0)})


def test_the_message_names_port_use_and_holder(taken: int):
    with pytest.raises(PenstockError) as refusal:
        check_free({"http": Address("127.0.0.1", taken), "grpc": Address("127.0.0.1", 0)})
    message = refusal.value.message
    assert f"port {taken} (http) is taken by process {os.getpid()} (" in message
    assert "--port-offset 100" in message


def test_all_taken_ports_are_named_at_once(taken: int):
    with socket.create_server(("127.0.0.1", 0)) as other:
        second = other.getsockname()[1]
        addresses = {"http": Address("127.0.0.1", taken), "grpc": Address("127.0.0.1", second)}
        with pytest.raises(PenstockError, match=rf"{taken} \(http\).*{second} \(grpc\)"):
            check_free(addresses)


def test_a_port_taken_on_all_interfaces_is_taken(taken: int):
    assert not free(Address("0.0.0.0", taken))


def test_a_connection_that_lingers_does_not_keep_a_port():
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    with socket.create_connection(("127.0.0.1", port)):
        accepted, _ = server.accept()
        accepted.close()  # our side closes first, so it is ours that waits in TIME_WAIT
    server.close()
    assert free(Address("127.0.0.1", port))


def test_an_address_that_is_not_ours_is_refused():
    with pytest.raises(PenstockError, match="this machine doesn't have the address"):
        free(Address("192.0.2.1", 8000))


def test_nobody_listens_on_a_free_port():
    assert holder(free_port()) == "another process"
