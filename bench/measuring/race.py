"""Uploads that race for the last bytes of a quota."""

import threading
from collections import Counter
from dataclasses import dataclass

from . import api, inputs
from .account import open_account
from .target import Target


@dataclass(frozen=True)
class Outcome:
    """`unclear` answers are neither "stored" nor "over the quota" (413)."""

    overshoot_percent: float
    unclear: int
    text: str


def race(target: Target, uploads: int, size_bytes: int, quota_bytes: int) -> Outcome:
    """Sends all uploads of a new user at the same moment."""
    token = open_account(target, "race", quota_bytes)
    media_type, fields = inputs.PLAIN
    body = api.form(target.upload_field, [("race.zip", media_type, bytes(size_bytes))], fields)
    gate, answers = threading.Barrier(uploads, timeout=60), []

    def send() -> None:
        connection = api.connect(target.base_url)
        gate.wait()
        answers.append(api.exchange(connection, "POST", "/api/files/upload", token, body, api.FORM_HEADERS))
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(uploads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    usage = api.request(target.base_url, "GET", "/api/storage/usage", token)
    stored = sum(answer.is_success for answer in answers)
    statuses = Counter(answer.status for answer in answers)
    unclear = uploads - stored - statuses[413]
    overshoot = max(0.0, stored * size_bytes / quota_bytes - 1) * 100
    text = (f"{stored} stored, {quota_bytes // size_bytes} allowed, "
            f"{usage.json(*target.used_bytes) / size_bytes:g} MiB counted, answers {dict(sorted(statuses.items()))}")
    return Outcome(overshoot, unclear, text)
