"""Load generators: wrk for peak rates over open connections, curl for transfers. Every status is looked at."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .target import Target

MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass(frozen=True)
class Rate:
    """What wrk saw. `failures` counts answers of 400 and above, broken connections and timeouts."""

    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float
    failures: int


def wrk(url: str, token: str, seconds: int, connections: int,
        headers: tuple[str, ...] = (), script: Path | None = None) -> Rate:
    """As many requests as the service answers, from one thread."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "--latency"]
    for header in (f"Authorization: Bearer {token}", *headers):
        command += ["-H", header]
    command += ["-s", str(script)] if script else []
    printed = subprocess.run([*command, url], check=True, capture_output=True, text=True).stdout
    requests = re.search(r"(\d+) requests in", printed)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", printed)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", printed)
    return Rate(
        requests=int(requests[1]) if requests else 0,
        per_second=float(rate[1]) if rate else 0.0,
        p50_ms=_percentile(printed, 50),
        p99_ms=_percentile(printed, 99),
        failures=(int(refused[1]) if refused else 0) + (sum(map(int, broken.groups())) if broken else 0),
    )


def _percentile(printed: str, percent: int) -> float:
    found = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s|m)$", printed, re.MULTILINE)
    return float(found[1]) * MILLISECONDS[found[2]] if found else float("nan")


def post_script(path: Path, body: Path, content_type: str) -> Path:
    """A wrk script that posts a body."""
    path.write_text(f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "{content_type}"\n'
                    f'local file = assert(io.open("{body}", "rb"))\nwrk.body = file:read("*a")\nfile:close()\n')
    return path


@dataclass(frozen=True)
class Transfer:
    """One transfer by curl. Status 0: no answer."""

    status: int
    seconds: float
    received_bytes: int
    body: str


class Curl:
    """A transfer under way."""

    def __init__(self, url: str, token: str, *options: str) -> None:
        command = ["curl", "--silent", "--write-out", "\n%{http_code} %{time_total} %{size_download}",
                   "--header", f"Authorization: Bearer {token}", *options, url]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def wait(self) -> Transfer:
        """The finished transfer."""
        body, _, numbers = self._process.communicate()[0].rpartition("\n")
        status, seconds, size = numbers.split()
        return Transfer(int(status), float(seconds), int(size), body)


def download(target: Target, file: str) -> Curl:
    """Starts getting a file's bytes."""
    return Curl(f"{target.base_url}/api/files/{file}/download", target.token, "--output", "/dev/null")


def upload(target: Target, token: str, path: Path, media_type: str, fields: dict[str, str]) -> Curl:
    """Starts sending a file in a form."""
    options = [option for name, value in fields.items() for option in ("--form", f"{name}={value}")]
    file = f"{target.upload_field}=@{path};type={media_type}"
    return Curl(f"{target.base_url}/api/files/upload", token, *options, "--form", file)


def append(url: str, token: str, path: Path) -> Curl:
    """Starts sending a file as the whole of a resumable upload."""
    headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    options = [option for name, value in headers.items() for option in ("--header", f"{name}: {value}")]
    return Curl(url, token, "--request", "PATCH", "--upload-file", str(path), *options)
