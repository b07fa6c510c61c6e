"""tuspy as its users run it: whole, in chunks with checksums, and resumed by another process through a stored URL."""

import hashlib
import os
import sys
import tempfile
import urllib.request

from tusclient import client
from tusclient.storage import filestorage

MIB = 1 << 20
CONTENT = os.urandom(12 * MIB + 5)
SERVICE, TOKEN = sys.argv[1], os.environ["SERVICE_TOKEN"]


def assert_arrived(url: str) -> None:
    head = urllib.request.Request(url, method="HEAD", headers={"Tus-Resumable": "1.0.0"})
    with urllib.request.urlopen(head) as answer:
        file_id = answer.headers["Upload-File-Id"]
    download = urllib.request.Request(
        f"{SERVICE}/api/files/{file_id}/download", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    with urllib.request.urlopen(download) as answer:
        assert hashlib.sha256(answer.read()).digest() == hashlib.sha256(CONTENT).digest(), url


def main() -> None:
    tus = client.TusClient(f"{SERVICE}/api/uploads", headers={"Authorization": f"Bearer {TOKEN}"})
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "video.bin")
        with open(path, "wb") as file:
            file.write(CONTENT)
        options = {"file_path": path, "metadata": {"filename": "video.bin"}}

        whole = tus.uploader(**options)
        whole.upload()
        assert_arrived(whole.url)

        checked = tus.uploader(**options, chunk_size=5 * MIB, upload_checksum=True)
        checked.upload()
        assert_arrived(checked.url)

        urls = filestorage.FileStorage(os.path.join(folder, "urls"))
        stored = {**options, "chunk_size": 2 * MIB, "store_url": True, "url_storage": urls}
        first = tus.uploader(**stored)
        first.upload(stop_at=4 * MIB)
        second = tus.uploader(**stored)
        assert (second.url, second.offset) == (first.url, 4 * MIB), (second.url, second.offset)
        second.upload()
        assert_arrived(second.url)


main()
