"""A private, durable PostgreSQL cluster on a unix socket. Every target gets one with the same settings."""

import os
import shutil
import subprocess
from pathlib import Path

SUPERUSER = "postgres"
SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "shared_buffers": "256MB",
    "max_connections": "100",
    "fsync": "on",
    "synchronous_commit": "on",
}


class Cluster:
    """Its files are in `directory`; its server runs as the system user postgres when we are root, who it refuses."""

    def __init__(self, directory: Path) -> None:
        self._data = directory / "data"
        self.socket = directory / "socket"
        self._programs = _newest_programs()
        self._account = "postgres" if os.geteuid() == 0 else None

    def start(self) -> None:
        """Makes the cluster and starts its server."""
        for directory in (self._data, self.socket):
            directory.mkdir(parents=True, mode=0o700)
            if self._account:
                shutil.chown(directory, self._account, self._account)
        self._run("initdb", "--pgdata", self._data, "--username", SUPERUSER, "--auth=trust", "--encoding=UTF8",
                  "--locale=C.UTF-8")
        options = " ".join(f"-c {name}='{value}'"
                           for name, value in {**SETTINGS, "unix_socket_directories": self.socket}.items())
        self._run("pg_ctl", "start", "--wait", "--pgdata", self._data, "--options", options,
                  "--log", self._data / "server.log")

    def stop(self) -> None:
        """Stops the server if it runs."""
        if (self._data / "postmaster.pid").exists():
            self._run("pg_ctl", "stop", "--wait", "--mode=fast", "--pgdata", self._data)

    @property
    def pid(self) -> int:
        """The postmaster's."""
        return int((self._data / "postmaster.pid").read_text().split("\n", 1)[0])

    def url(self, database: str) -> str:
        """A connection string."""
        return f"postgres:///{database}?host={self.socket}&port={SETTINGS['port']}&user={SUPERUSER}"

    def psql(self, database: str, *options: str | Path) -> None:
        """Runs psql, which stops at the first error."""
        command = [self._programs / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", self.url(database), *options]
        environment = {**os.environ, "PGOPTIONS": "-c client_min_messages=warning"}
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)

    def _run(self, program: str, *options: str | Path) -> None:
        # The server inherits descriptors: a pipe here would stay open as long as it runs.
        subprocess.run([self._programs / program, *options], check=True, cwd="/", stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, user=self._account, group=self._account,
                       extra_groups=[] if self._account else None)


def _newest_programs() -> Path:
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if not found:
        raise SystemExit("PostgreSQL's server is not installed: apt-get install postgresql")
    return max(found, key=lambda path: int(path.parent.name))
