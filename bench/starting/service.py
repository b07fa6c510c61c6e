"""Life cycle of a target: its directory, process and description. `stop` removes everything that `start` created."""

import argparse
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from measuring import launch, machine
from measuring.target import Launch, Target

from . import dataset
from .cluster import Cluster
from .tokens import TokenKey

READER = "bench_reader"
ADMIN = "bench_admin"
DATABASE = "bench"
QUOTA_BYTES = 1 << 40
STATES = Path("/var/tmp/jam-storage-bench")
ANSWER_SECONDS_MAX = 60
STOP_SECONDS_MAX = 60


class Workspace:
    """The directories of a target."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.volume = state / "volume"
        self.cluster = Cluster(state / "postgres")
        self.key = TokenKey(state)
        self.log = state / "service.log"
        self.process = state / "process"
        """Number and start of the service's process: together they identify it for good."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The part that differs by service. `prepare` fills database and volume and says how to start it."""

    label: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    about: Callable[[argparse.Namespace], str]
    prepare: Callable[[Workspace, argparse.Namespace], Launch]
    quota_field: str
    used_bytes: list[str]
    uploads_path: str | None = None


def run(recipe: Recipe, doc: str) -> None:
    """The command line of a target's script."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", type=Path, default=STATES / recipe.label,
                        help="its directory, on the disk to measure, whose name is the target's (default %(default)s)")
    verbs = parser.add_subparsers(dest="verb", required=True)
    recipe.add_arguments(verbs.add_parser("start", help="start it, make its data and print its description"))
    verbs.add_parser("stop", help="stop it and remove its directory")
    verbs.add_parser("token", help="print a token for a user").add_argument("user")
    arguments = parser.parse_args()
    workspace = Workspace(arguments.state.absolute())
    if arguments.verb == "start":
        target = start(recipe, workspace, arguments)
        print(json.dumps(dataclasses.asdict(target), indent=2))
    elif arguments.verb == "stop":
        stop(workspace)
        shutil.rmtree(workspace.state)
    else:
        print(workspace.key.token(arguments.user))


def start(recipe: Recipe, workspace: Workspace, arguments: argparse.Namespace) -> Target:
    """Starts everything and makes the data set; leaves nothing running when it fails."""
    if workspace.state.exists():
        sys.exit(f"{workspace.state} exists: stop that target first")
    workspace.state.mkdir(parents=True)
    workspace.volume.mkdir(mode=0o700)
    try:
        workspace.key.make()
        workspace.cluster.start()
        workspace.cluster.psql("postgres", "-c", f"CREATE DATABASE {DATABASE}")
        how = recipe.prepare(workspace, arguments)
        port = launch.free_port()
        target = Target(
            label=workspace.state.name,
            base_url=f"http://127.0.0.1:{port}",
            pid=start_process(how, port, workspace),
            token=workspace.key.token(READER),
            about=recipe.about(arguments),
            postgres_pid=workspace.cluster.pid,
            token_command=[str(Path(sys.argv[0]).absolute()), "--state", str(workspace.state), "token"],
            admin_token=workspace.key.token(ADMIN, admin=True),
            quota_field=recipe.quota_field,
            used_bytes=recipe.used_bytes,
            uploads_path=recipe.uploads_path,
            launch=how,
        )
        with tempfile.TemporaryDirectory(dir=workspace.state) as directory:
            files = dataset.make(target, Path(directory))
        workspace.cluster.psql(DATABASE, "-c", "VACUUM ANALYZE")
        return dataclasses.replace(target, files=files)
    except BaseException:
        stop(workspace)
        print(f"{workspace.state} is kept for inspection", file=sys.stderr)
        raise


def start_process(how: Launch, port: int, workspace: Workspace) -> int:
    """Starts the service and waits until it answers."""
    with workspace.log.open("wb") as log:
        process = subprocess.Popen(how.command, cwd=how.directory, start_new_session=True, stdin=subprocess.DEVNULL,
                                   env={**os.environ, **how.environment, "PORT": str(port)}, stdout=log, stderr=log)
    workspace.process.write_text(f"{process.pid} {machine.start_ticks(process.pid)}")
    deadline = time.monotonic() + ANSWER_SECONDS_MAX
    while not launch.answers(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"the service does not answer; see {workspace.log}")
        time.sleep(0.05)
    return process.pid


def stop(workspace: Workspace) -> None:
    """Ends the service, then its database. Does nothing about what does not run."""
    stop_process(workspace)
    workspace.cluster.stop()


def stop_process(workspace: Workspace) -> None:
    """Ends the service, if it runs."""
    if workspace.process.exists():
        pid, started = map(int, workspace.process.read_text().split())
        deadline = time.monotonic() + STOP_SECONDS_MAX
        while machine.start_ticks(pid) == started and time.monotonic() < deadline:
            os.kill(pid, signal.SIGTERM)
            time.sleep(0.2)
