"""One more process of a target's service, on the same data, to see how it starts and what it takes when idle."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

from . import machine
from .target import Target, Unmeasurable

ANSWER_SECONDS_MAX = 30
SETTLE_SECONDS = 3


@dataclass(frozen=True)
class Started:
    """A process that answers."""

    pid: int
    first_answer_ms: float

    def idle_mib(self) -> float:
        """Resident memory after a few seconds without a request."""
        time.sleep(SETTLE_SECONDS)
        return machine.memory_mib(self.pid, "VmRSS")


def free_port() -> int:
    """A free port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def answers(port: int, path: str = "/health") -> bool:
    """Whether a GET returns 200."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS_MAX) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            return connection.makefile("rb").readline().split()[1:2] == [b"200"]
    except OSError:
        return False


def wait_for(port: int) -> None:
    """Waits until a server answers there."""
    deadline = time.monotonic() + ANSWER_SECONDS_MAX
    while not answers(port):
        if time.monotonic() > deadline:
            raise RuntimeError(f"port {port} does not answer")
        time.sleep(0.05)


@contextlib.contextmanager
def another(target: Target) -> Iterator[Started]:
    """Starts a process and asks for /health every millisecond until it answers 200; ends the process afterwards."""
    if target.launch is None:
        raise Unmeasurable("no launch")
    port = free_port()
    environment = {**os.environ, **target.launch.environment, "PORT": str(port)}
    started = time.monotonic()
    process = subprocess.Popen(target.launch.command, cwd=target.launch.directory, env=environment,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not answers(port):
            if process.poll() is not None or time.monotonic() - started > ANSWER_SECONDS_MAX:
                raise RuntimeError(f"{target.label} did not start again")
            time.sleep(0.001)
        yield Started(process.pid, (time.monotonic() - started) * 1000)
    finally:
        process.terminate()
        process.wait()
