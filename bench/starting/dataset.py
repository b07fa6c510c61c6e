"""The data set of the reads: a user with 1,000 files, created through the API."""

import sys
from pathlib import Path

from measuring import api, inputs, load, machine
from measuring.target import Target

FILE_COUNT = 1000
BLOBS = {"64k": 64 * 1024, "1m": inputs.MIB, "100m": 100 * inputs.MIB, "1g": 1024 * inputs.MIB}
PHOTOS_PER_REQUEST = 10


def make(target: Target, directory: Path) -> dict[str, str]:
    """Uploads the data set as the target's user and returns the files' ids. The photos are the newest files."""
    print(f"making {FILE_COUNT} files for {target.label}", file=sys.stderr)
    ids = {name: _upload_blob(target, inputs.blob(directory / f"{name}.zip", size_bytes))
           for name, size_bytes in BLOBS.items()}
    photo = inputs.photo(directory / "photo.jpg").read_bytes()
    left = FILE_COUNT - len(BLOBS)
    while left > 0:
        count = min(left, PHOTOS_PER_REQUEST)
        left -= count
        files = [(f"photo-{left + number}.jpg", "image/jpeg", photo) for number in range(count)]
        body = api.form(target.upload_field, files)
        answer = api.request(target.base_url, "POST", "/api/files/upload", target.token, body, api.FORM_HEADERS)
        _require(answer)
        ids["photo"] = answer.json("files", 0, "id")
    path = f"/api/files/{ids['photo']}/thumbnail"
    _require(api.request(target.base_url, "GET", path, target.token))
    machine.wait_until_idle(target.pid)
    return ids


def _upload_blob(target: Target, path: Path) -> str:
    done = load.upload(target, target.token, path, *inputs.PLAIN).wait()
    answer = api.Answer(done.status, done.body.encode())
    _require(answer)
    return answer.json("files", 0, "id")


def _require(answer: api.Answer) -> None:
    if not answer.is_success:
        raise SystemExit(f"the data set could not be made: {answer.status} {answer.body[:300]!r}")
