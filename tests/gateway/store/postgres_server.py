"""A real PostgreSQL on a Unix socket of its own, that ends with whoever started it."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from sqlalchemy import URL, NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from tests.servers import program

_STARTS_WITHIN = 30.0  # seconds


class PostgresServer:
    """Durability is off, as the machine's power is not what is tested."""

    def __init__(self) -> None:
        self._bin = program("postgres").parent
        # The server refuses to run as root, and a socket's path has some 100 letters at most.
        self._user = "postgres" if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
        if self._user is not None:
            shutil.chown(self._folder, self._user, self._user)
        self._data = self._folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._users = 0
        self._engine = create_engine(self._url("penstock"), poolclass=NullPool)
        self._run(
            "initdb",
            "-D",
            self._data,
            "-A",
            "trust",
            "-U",
            "penstock",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        )

    def start(self) -> None:
        options = {
            "listen_addresses": "",
            "unix_socket_directories": self._folder,
            "fsync": "off",
            "max_connections": 40,
            "shared_buffers": "16MB",
        }
        command = [self._bin / "postgres", "-D", self._data]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, user=self._user, cwd=self._folder, stdout=log, stderr=log
            )
        self._wait()

    def crash(self) -> None:
        """Every process of it ends at once, and the next start recovers."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)
            self._process = None

    def remove(self) -> None:
        self.crash()
        shutil.rmtree(self._folder, ignore_errors=True)

    def new_database(self) -> str:
        """The URL of an empty database: a schema whose user sees no other, which is made faster."""
        self._users += 1
        name = f"records{self._users}"
        with self._engine.begin() as connection:
            connection.execute(text(f"CREATE ROLE {name} LOGIN"))
            connection.execute(text(f"CREATE SCHEMA AUTHORIZATION {name}"))
        return self._url(name)

    def _url(self, user: str) -> str:
        url = URL.create(
            "postgresql+psycopg",
            username=user,
            database="postgres",
            query={"host": str(self._folder)},
        )
        return url.render_as_string()

    def _wait(self) -> None:
        deadline = time.monotonic() + _STARTS_WITHIN
        while True:
            try:
                self._engine.connect().close()
                return
            except OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _run(self, name: str, *arguments: object) -> None:
        command = [str(self._bin / name), *map(str, arguments)]
        done = subprocess.run(command, user=self._user, cwd=self._folder, capture_output=True)
        if done.returncode:
            raise RuntimeError(f"{name}: {done.stderr.decode(errors='replace')[-2000:]}")
