"""The service's HTTP API as one client sees it. For single requests; load comes from load.py."""

import http.client
import json
import urllib.parse
from dataclasses import dataclass, field
from typing import Any

BOUNDARY = "side-by-side-form-boundary"


@dataclass(frozen=True)
class Answer:
    """A status, a body, and headers by their names in lower case. Status 0: the connection ended without an answer."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def json(self, *path: str | int) -> Any:
        """The body's value at a path of keys and positions."""
        value = json.loads(self.body)
        for key in path:
            value = value[key]
        return value


def connect(base_url: str) -> http.client.HTTPConnection:
    """An open connection to the service."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(base_url).netloc, timeout=300)
    connection.connect()
    return connection


def exchange(connection: http.client.HTTPConnection, method: str, path: str, token: str,
             body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
    """One request. A service may refuse a body before it has read it, so read the response even after a broken pipe."""
    try:
        try:
            connection.request(method, path, body, {"Authorization": f"Bearer {token}", **(headers or {})})
        except (BrokenPipeError, ConnectionResetError):
            response = http.client.HTTPResponse(connection.sock, method=method)
            response.begin()
        else:
            response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, response.read(), headers)
    except (OSError, http.client.HTTPException):
        return Answer(0)


def request(base_url: str, method: str, path: str, token: str,
            body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
    """One request on a connection of its own."""
    try:
        connection = connect(base_url)
    except OSError:
        return Answer(0)
    try:
        return exchange(connection, method, path, token, body, headers)
    finally:
        connection.close()


def request_json(base_url: str, method: str, path: str, token: str, document: dict[str, Any]) -> Answer:
    """One request with a JSON body."""
    return request(base_url, method, path, token, json.dumps(document).encode(), {"Content-Type": "application/json"})


def form(field: str, files: list[tuple[str, str, bytes]], fields: dict[str, str] | None = None) -> bytes:
    """A multipart form: text fields, then files as (name, media type, content)."""
    parts = [f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
             for name, value in (fields or {}).items()]
    for name, media_type, content in files:
        head = (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
                f"Content-Type: {media_type}\r\n\r\n")
        parts.append(head.encode() + content + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


FORM_HEADERS = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
