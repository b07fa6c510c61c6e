"""A client that openapi-python-client made from docs/openapi.json, against the service: python journey.py URL TOKEN."""

import io
import json
import struct
import sys
import zlib
from uuid import UUID

from jam_storage_client import AuthenticatedClient
from jam_storage_client.api.list_ import get_file, list_files
from jam_storage_client.api.organize import delete_file, patch_file, run_batch
from jam_storage_client.api.quota import initialize, usage
from jam_storage_client.api.upload import upload
from jam_storage_client.models import (
    AssetCategory,
    FileList,
    FilePatch,
    FileType,
    Problem,
    StorageAnswer,
    Uploaded,
    UploadForm,
)
from jam_storage_client.types import File


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png() -> bytes:
    """One black pixel."""
    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0\0"))
        + chunk(b"IEND", b"")
    )


def main(url: str, token: str) -> None:
    client = AuthenticatedClient(base_url=url, token=token)
    assert isinstance(initialize.sync(client=client), StorageAnswer)
    form = UploadForm(
        files=[File(payload=io.BytesIO(png()), file_name="pixel.png", mime_type="image/png")],
        file_type=FileType.IMAGE,
        tags=json.dumps(["one", "two"]),
    )
    stored = upload.sync(client=client, body=form)
    assert isinstance(stored, Uploaded), stored
    file = stored.files[0]
    assert (file.width, file.tags) == (1, ["one", "two"]), file
    listed = list_files.sync(client=client, tags=["two", "three"], limit=5)
    assert isinstance(listed, FileList), listed
    assert [one.id for one in listed.files] == [file.id], listed
    changed = patch_file.sync(file.id, client=client, body=FilePatch(asset_category=AssetCategory.CLIP))
    assert not isinstance(changed, Problem) and changed is not None
    assert changed.file.asset_category == AssetCategory.CLIP, changed
    room = usage.sync(client=client)
    assert isinstance(room, StorageAnswer) and room.storage.file_count >= 1, room
    delete_file.sync(file.id, client=client, permanent=True)
    missing = get_file.sync(file.id, client=client)
    assert isinstance(missing, Problem) and missing.code == "not_found", missing


if __name__ == "__main__":
    main(*sys.argv[1:])
