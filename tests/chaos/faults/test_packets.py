"""Rules of packets."""

import subprocess
import sys

import pytest

from chaos.faults import packets
from chaos.probe import Need, has

CODE = """
import socket
from chaos.faults import packets

def connects(port):
    with socket.socket() as client:
        client.settimeout(0.5)
        return client.connect_ex(("127.0.0.1", port)) == 0

with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
    first, second = one.getsockname()[1], two.getsockname()[1]
    for rules in (packets.to_and_from(first), packets.connecting(first)):
        with packets.dropped(rules) as lost:
            assert lost() == 0
            assert not connects(first)
            assert lost() > 0
            assert connects(second)
        assert connects(first)
    with packets.dropped(packets.some(99)):
        assert not connects(second)
    assert connects(second)
print("as it should be")
"""


@pytest.mark.skipif(not has(Need.NAMESPACE), reason="needs network namespaces with nft")
def test_what_the_rules_name_is_dropped_until_the_end():
    script = f"ip link set lo up; exec {sys.executable} -c '{CODE}'"
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", script], capture_output=True, text=True, timeout=60.0
    )
    assert done.stdout == "as it should be\n", done.stderr


def test_nothing_is_dropped_where_others_have_devices(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packets, "_others", lambda: ["eth0"])
    with pytest.raises(RuntimeError, match="eth0"):
        with packets.dropped(packets.some(5)):
            pass
