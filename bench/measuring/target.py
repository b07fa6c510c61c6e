"""Description of a running service: its address, its processes and where its responses differ."""

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path


class Unmeasurable(Exception):
    """An operation needs something that the target's description lacks."""


@dataclass(frozen=True)
class Launch:
    """How to start one more process of the service. It must listen on the port in the variable PORT."""

    command: list[str]
    directory: str
    environment: dict[str, str]


@dataclass(frozen=True)
class Target:
    """A running service, as described by a JSON document (bench/README.md lists its fields)."""

    label: str
    base_url: str
    pid: int
    token: str
    about: str = ""
    postgres_pid: int | None = None
    """The postmaster; without it the figures exclude the database."""
    files: dict[str, str] = field(default_factory=dict)
    """Ids of files of the token's user: photo, 64k, 1m, 100m, 1g."""
    token_command: list[str] | None = None
    """Prints a token for the user whose id is appended."""
    admin_token: str | None = None
    upload_field: str = "files"
    quota_field: str = "maxBytes"
    """The number's name in PUT /api/storage/quota."""
    used_bytes: list[str] = field(default_factory=lambda: ["storage", "totalBytes"])
    """The path to the stored bytes in the response of GET /api/storage/usage."""
    uploads_path: str | None = None
    """Where resumable uploads are created by tus 1.0."""
    launch: Launch | None = None

    @staticmethod
    def read(path: Path) -> "Target":
        """Reads a description; an unknown field is an error, so that a typo is noticed."""
        document = json.loads(path.read_text())
        if launch := document.get("launch"):
            document["launch"] = Launch(**launch)
        return Target(**document)

    def token_for(self, user: str) -> str:
        """A token of a separate user: uploads under it do not change the measured data set."""
        if self.token_command is None:
            raise Unmeasurable("no token_command")
        done = subprocess.run([*self.token_command, user], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def file(self, name: str) -> str:
        """The id of a file of the data set."""
        if name not in self.files:
            raise Unmeasurable(f"no file {name}")
        return self.files[name]
