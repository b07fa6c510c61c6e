"""The operations that are compared. Each measures one target once and returns a Sample."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import api, inputs, launch, load
from .race import race
from .resumable import resumable
from .sample import Sample, observe
from .settings import Settings
from .target import Target, Unmeasurable

MIB = inputs.MIB
WRITER = "bench_writer"


class Failed(Exception):
    """The service gave a wrong response; the message describes it."""


@dataclass(frozen=True)
class Operation:
    """`unit` belongs to the result."""

    name: str
    title: str
    unit: str
    measure: Callable[[Target, Settings], Sample]


def _peak(path: Callable[[Target], str], connections: int, status: int = 200, size_bytes: int | None = None,
          headers: dict[str, str] | None = None, entries: int | None = None) -> Callable[[Target, Settings], Sample]:
    """Peak rate of one GET. The first answer's status and content are checked exactly, the others for success."""

    def measure(target: Target, settings: Settings) -> Sample:
        url = path(target)
        first = api.request(target.base_url, "GET", url, target.token, headers=headers)
        if first.status != status or size_bytes not in (None, len(first.body)):
            raise Failed(f"GET {url}: status {first.status}, {len(first.body)} bytes")
        if entries is not None and len(first.json("files")) != entries:
            raise Failed(f"GET {url}: not {entries} files")
        lines = tuple(f"{name}: {value}" for name, value in (headers or {}).items())
        with observe(target, settings.patience_seconds) as cost:
            rate = load.wrk(target.base_url + url, target.token, settings.seconds, connections, lines)
        return cost.sample(rate.requests, result=rate.per_second, p50_ms=rate.p50_ms, p99_ms=rate.p99_ms,
                           failures=rate.failures, remark=f"{len(first.body):,} bytes an answer")

    return measure


def _file(name: str, suffix: str = "") -> Callable[[Target], str]:
    return lambda target: f"/api/files/{target.file(name)}{suffix}"


def _download_100m(target: Target, settings: Settings) -> Sample:
    transfers = []
    with observe(target, settings.patience_seconds) as cost:
        for _ in range(settings.transfers):
            transfers.append(load.download(target, target.file("100m")).wait())
    failures = sum(one.status != 200 or one.received_bytes != 100 * MIB for one in transfers)
    seconds = statistics.median(one.seconds for one in transfers)
    return cost.sample(len(transfers), result=100 / seconds, p50_ms=seconds * 1000, failures=failures)


def _small_uploads(name: str, media_type: str, fields: dict[str, str],
                   make: Callable[[Path], Path]) -> Callable[[Target, Settings], Sample]:
    """Peak rate of uploads of 88 KiB. The cost includes work after the responses, such as thumbnails."""

    def measure(target: Target, settings: Settings) -> Sample:
        content = make(settings.directory / name).read_bytes()
        body = settings.directory / f"{name}.form"
        body.write_bytes(api.form(target.upload_field, [(name, media_type, content)], fields))
        script = load.post_script(settings.directory / f"{name}.lua", body, api.FORM_HEADERS["Content-Type"])
        url, token = f"{target.base_url}/api/files/upload", target.token_for(WRITER)
        with observe(target, settings.patience_seconds, until_idle=True) as cost:
            rate = load.wrk(url, token, settings.seconds, 16, script=script)
        return cost.sample(rate.requests, result=rate.per_second, p50_ms=rate.p50_ms, p99_ms=rate.p99_ms,
                           failures=rate.failures)

    return measure


def _upload_512m(target: Target, settings: Settings) -> Sample:
    path, token = inputs.blob(settings.directory / "512m.zip", 512 * MIB), target.token_for(WRITER)
    with observe(target, settings.patience_seconds) as cost:
        transfer = load.upload(target, token, path, *inputs.PLAIN).wait()
    _remove_uploaded(target, token, [transfer])
    return cost.sample(1, result=512 / transfer.seconds, p50_ms=transfer.seconds * 1000,
                       failures=int(not 200 <= transfer.status < 300))


def _upload_32_at_once(target: Target, settings: Settings) -> Sample:
    path, token = inputs.blob(settings.directory / "32m.zip", 32 * MIB), target.token_for(WRITER)
    with observe(target, settings.patience_seconds) as cost:
        running = [load.upload(target, token, path, *inputs.PLAIN) for _ in range(32)]
        transfers = [one.wait() for one in running]
    _remove_uploaded(target, token, transfers)
    return cost.sample(32, result=cost.peak_mib, failures=sum(not 200 <= one.status < 300 for one in transfers))


def _remove_uploaded(target: Target, token: str, transfers: list[load.Transfer]) -> None:
    """Deletes what was uploaded, as far as the service frees the storage."""
    for one in transfers:
        if 200 <= one.status < 300:
            file = api.Answer(one.status, one.body.encode()).json("files", 0, "id")
            api.request(target.base_url, "DELETE", f"/api/files/{file}?permanent=true", token)


def _poster(target: Target, settings: Settings) -> Sample:
    """From the start of a video's upload to the last byte of its poster."""
    content = inputs.video(settings.directory / "video.mp4").read_bytes()
    body, token = api.form(target.upload_field, [("video.mp4", "video/mp4", content)]), target.token_for(WRITER)
    times, failures = [], 0
    with observe(target, settings.patience_seconds, until_idle=True) as cost:
        for _ in range(settings.transfers):
            started = time.monotonic()
            stored = api.request(target.base_url, "POST", "/api/files/upload", token, body, api.FORM_HEADERS)
            if not stored.is_success:
                raise Failed(f"upload of a video: status {stored.status}")
            path = f"/api/files/{stored.json('files', 0, 'id')}/thumbnail"
            failures += int(api.request(target.base_url, "GET", path, token).status != 200)
            times.append((time.monotonic() - started) * 1000)
    return cost.sample(len(times), result=statistics.median(times), failures=failures)


def _start(target: Target, settings: Settings) -> Sample:
    with launch.another(target) as started:
        return Sample(result=started.first_answer_ms)


def _idle(target: Target, settings: Settings) -> Sample:
    with launch.another(target) as started:
        return Sample(result=started.idle_mib())


def _race(target: Target, settings: Settings) -> Sample:
    outcome = race(target, uploads=50, size_bytes=MIB, quota_bytes=20 * MIB)
    return Sample(result=outcome.overshoot_percent, failures=outcome.unclear, remark=outcome.text)


# Our names for what the Express service answers with; it ignores the parameter.
FIELDS_OF_EXPRESS = ("id,fileName,originalName,fileType,mimeType,fileSize,width,height,duration,packageName,tags,aiMetadata,"
                     "isFavorite,createdAt,updatedAt,downloadUrl,thumbnailUrl")

OPERATIONS = [
    Operation("usage", "GET usage", "/s", _peak(lambda _: "/api/storage/usage", 16)),
    Operation("list", "list 50 of 1,000 files", "/s", _peak(lambda _: "/api/files?limit=50", 16, entries=50)),
    Operation("list-fields", "list 50 of 1,000 files, the fields that Express has", "/s",
              _peak(lambda _: f"/api/files?limit=50&fields={FIELDS_OF_EXPRESS}", 16, entries=50)),
    Operation("one", "one file", "/s", _peak(_file("photo"), 16)),
    Operation("thumbnail", "thumbnail GET, made", "/s", _peak(_file("photo", "/thumbnail"), 16)),
    Operation("download-64k", "download 64 KiB", "/s",
              _peak(_file("64k", "/download"), 16, size_bytes=64 * 1024)),
    Operation("download-1m", "download 1 MiB", "/s", _peak(_file("1m", "/download"), 8, size_bytes=MIB)),
    Operation("range-1m", "1 MiB range of 1 GiB", "/s",
              _peak(_file("1g", "/download"), 8, 206, MIB, {"Range": f"bytes={512 * MIB}-{513 * MIB - 1}"})),
    Operation("download-100m", "download 100 MiB", " MiB/s", _download_100m),
    Operation("upload-photo", "upload 88 KiB JPEG, 16 at once", "/s",
              _small_uploads("photo.jpg", "image/jpeg", {}, inputs.photo)),
    Operation("upload-plain", "upload 88 KiB without a thumbnail", "/s",
              _small_uploads("plain.zip", *inputs.PLAIN, lambda path: inputs.blob(path, 88 * 1024))),
    Operation("upload-512m", "upload 512 MiB", " MiB/s", _upload_512m),
    Operation("upload-32", "peak RSS, 32 x 32 MiB uploads", " MiB", _upload_32_at_once),
    Operation("resumable-512m", "resumable upload of 512 MiB", " MiB/s", resumable(1, 512)),
    Operation("resumable-10", "10 resumable uploads of 64 MiB at once", " MiB/s", resumable(10, 64)),
    Operation("start", "start to first answer", " ms", _start),
    Operation("idle", "idle RSS", " MiB", _idle),
    Operation("race", "quota race, 50 parallel uploads: overshoot", " %", _race),
    Operation("poster", "video upload to poster ready", " ms", _poster),
]


def measure(operation: Operation, target: Target, settings: Settings) -> Sample:
    """One sample; what goes wrong is in it."""
    try:
        return operation.measure(target, settings)
    except Unmeasurable as missing:
        return Sample(remark=f"not measured: {missing}")
    except Failed as failure:
        return Sample(failures=1, remark=str(failure))
