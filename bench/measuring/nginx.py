"""The servers' nginx (infra/hetzner/nginx) on ports and directories of a measurement, without its limits of requests."""

import re
from pathlib import Path

DIRECTORY = Path(__file__).resolve().parents[2] / "infra/hetzner/nginx"


def service(storage_root: str) -> str:
    """What is within server {}."""
    text = (DIRECTORY / "service.conf.in").read_text().replace("@STORAGE_ROOT@", storage_root)
    return re.sub(r"^limit_(req|conn) .*$", "", text, flags=re.MULTILINE)


def configuration(home: str, http: str) -> str:
    """A whole nginx.conf of one process, with what is given within http {}."""
    kinds = ("proxy", "fastcgi", "uwsgi", "scgi", "client_body")
    temporary = "".join(f"{kind}_temp_path {home}/{kind};\n" for kind in kinds)
    return (f"daemon off;\nuser root;\nworker_processes 1;\npid {home}/nginx.pid;\nevents {{ worker_connections 1024; }}\n"
            f"http {{\naccess_log off;\n{temporary}{http}\n}}\n")
