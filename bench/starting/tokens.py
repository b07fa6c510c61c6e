"""Session tokens as Clerk makes them, signed by a key of our own (RS256, by openssl)."""

import base64
import json
import subprocess
import time
from pathlib import Path

ISSUER = "https://issuer.bench.example"
PARTY = "https://app.bench.example"
# The service accepts none that lives longer.
LIFETIME_SECONDS = 86_400


class TokenKey:
    """A key pair in a directory."""

    def __init__(self, directory: Path) -> None:
        self._private = directory / "token-key.pem"
        self.public = directory / "token-key.public.pem"

    def make(self) -> None:
        """Makes the pair."""
        _openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self._private)
        _openssl("pkey", "-in", self._private, "-pubout", "-out", self.public)

    def token(self, user: str, admin: bool = False) -> str:
        """A session token. An administrator is one by either service's rule."""
        now = int(time.time())
        header = {"alg": "RS256", "typ": "JWT", "kid": "bench", "cat": "cl_B7d4PD111AAA"}
        claims = {"iss": ISSUER, "azp": PARTY, "sub": user, "sid": "sess_bench", "sts": "active", "v": 2,
                  "iat": now, "nbf": now, "exp": now + LIFETIME_SECONDS}
        if admin:
            claims |= {"role": "admin", "metadata": {"role": "admin"}}
        signed = f"{_encode(_compact(header))}.{_encode(_compact(claims))}"
        signature = _openssl("dgst", "-sha256", "-sign", self._private, text=signed.encode())
        return f"{signed}.{_encode(signature)}"


def _compact(document: dict[str, object]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _openssl(*options: str | Path, text: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *options], input=text, check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL).stdout
