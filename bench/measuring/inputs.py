"""The files that are uploaded. Content is the same at every run; blobs cannot be compressed."""

import random
import subprocess
from pathlib import Path

MIB = 1024 * 1024
PLAIN = ("application/zip", {"fileType": "project"})
"""Media type and form fields of a file that is only stored: no service makes a thumbnail of it."""


def photo(path: Path) -> Path:
    """An 800x600 JPEG of about 88 KiB."""
    return _video(path, "testsrc2=size=800x600:rate=1,noise=alls=15:all_seed=1", "-frames:v", "1", "-q:v", "6")


def phone_photo(path: Path, number: int) -> Path:
    """A 4032x3024 JPEG of about 4 MB, as a phone takes them; its noise goes by the number."""
    noise = f"testsrc2=size=4032x3024:rate=1,noise=alls=20:all_seed={number}"
    return _video(path, noise, "-frames:v", "1", "-q:v", "4")


def video(path: Path) -> Path:
    """Ten seconds of 1080p H.264, about 7 MB."""
    return _video(path, "testsrc2=size=1920x1080:rate=30:duration=10", "-c:v", "libx264", "-preset", "veryfast",
                 "-pix_fmt", "yuv420p", "-movflags", "+faststart")


def blob(path: Path, size_bytes: int) -> Path:
    """Random bytes in blocks that differ from each other."""
    if not path.exists():
        block = random.Random(size_bytes).randbytes(min(size_bytes, MIB))
        with path.open("wb") as out:
            for number in range(max(1, size_bytes // MIB)):
                out.write(number.to_bytes(8) + block[8:])
    return path


def _video(path: Path, source: str, *options: str) -> Path:
    if not path.exists():
        command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, *options, str(path)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path
