"""Resumable uploads as tus clients send them: a creation, then everything in one PATCH."""

import time

from . import api, inputs, load
from .sample import Sample, observe
from .settings import Settings
from .target import Target, Unmeasurable

MIB = inputs.MIB
WRITER = "bench_writer"
TUS = {"Tus-Resumable": "1.0.0"}


def resumable(uploads: int, size_mib: int):
    """So many uploads at once, each of so many MiB. Returns MiB/s over all of them."""

    def measure(target: Target, settings: Settings) -> Sample:
        if target.uploads_path is None:
            raise Unmeasurable("no uploads_path")
        path, token = inputs.blob(settings.directory / f"{size_mib}m.zip", size_mib * MIB), target.token_for(WRITER)
        with observe(target, settings.patience_seconds) as cost:
            started = time.monotonic()
            urls = [create(target, token, size_mib * MIB) for _ in range(uploads)]
            running = [load.append(url, token, path) for url in urls]
            transfers = [one.wait() for one in running]
            seconds = time.monotonic() - started
        for url in urls:
            remove(target, token, url)
        return cost.sample(uploads, result=uploads * size_mib / seconds, p50_ms=seconds * 1000,
                           failures=sum(one.status != 204 for one in transfers))

    return measure


def create(target: Target, token: str, size_bytes: int) -> str:
    """Creates an upload and returns its URL."""
    headers = {**TUS, "Upload-Length": str(size_bytes), "Upload-Metadata": "filename YS56aXA="}
    made = api.request(target.base_url, "POST", target.uploads_path or "", token, headers=headers)
    if made.status != 201:
        raise Unmeasurable(f"a creation was answered {made.status}")
    location = made.headers["location"]
    return location if location.startswith("http") else target.base_url + location


def remove(target: Target, token: str, url: str) -> None:
    """Frees the storage: deletes the file, where there is one, and the upload."""
    path = url.removeprefix(target.base_url)
    file = api.request(target.base_url, "HEAD", path, token, headers=TUS).headers.get("upload-file-id")
    if file:
        api.request(target.base_url, "DELETE", f"/api/files/{file}?permanent=true", token)
    api.request(target.base_url, "DELETE", path, token, headers=TUS)
