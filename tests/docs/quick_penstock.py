"""`penstock` for many short commands: `python quick_penstock.py SOCKET` imports it once and forks.

What is run is the command line itself, in a process of its own, with its caller's arguments,
environment, folder, standard input and output; only the second of importing is saved. Fifty
commands are on the pages. `command(…)` writes the program that is run in its place.
"""

import gc
import json
import os
import socket
import sys
from pathlib import Path

COMMAND = """#!{python} -SE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect({address!r})
    told = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode()
    socket.send_fds(asked, [len(told).to_bytes(4, "big")], [0, 1, 2])
    asked.sendall(told)
    sys.exit(asked.recv(1)[0])
"""


def command(file: Path, address: Path) -> None:
    file.write_text(COMMAND.format(python=sys.executable, address=str(address)))
    file.chmod(0o755)


def serve(address: str) -> None:
    # Before the first command, which is what this is for; and what some commands import.
    import gateway.cli
    import gateway.reports.make
    import gateway.routes.plan_answer
    import gateway.routes.plan_drawing
    import gateway.store.engine

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen(64)
        gc.freeze()  # children touch no page of it
        while True:
            asked, _ = listening.accept()
            with asked:
                child = os.fork()
                if child == 0:
                    _answer(asked, gateway.cli.main)
                _, status = os.waitpid(child, 0)
                asked.sendall(bytes([os.waitstatus_to_exitcode(status) & 0xFF]))


def _answer(asked: socket.socket, main: object) -> None:
    """Never returns."""
    length, files, _, _ = socket.recv_fds(asked, 4, 3)
    told = b""
    while len(told) < int.from_bytes(length, "big"):
        told += asked.recv(65536)
    arguments, environment, folder = json.loads(told)
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["penstock", *arguments]
    assert callable(main)
    status: object = 0
    try:
        main()
    except SystemExit as end:
        status = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else int(status is not None))


if __name__ == "__main__":
    serve(sys.argv[1])
