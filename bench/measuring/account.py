"""Users of a measurement: each is new, so that none sees files of another."""

import uuid

from . import api
from .target import Target, Unmeasurable


def open_account(target: Target, name: str, quota_bytes: int) -> str:
    """A new user with a quota; returns their token."""
    if target.admin_token is None:
        raise Unmeasurable("no admin_token")
    user = f"{name}_{uuid.uuid4().hex[:12]}"
    token = target.token_for(user)
    api.request_json(target.base_url, "POST", "/api/storage/initialize", token, {})
    quota = {"userId": user, target.quota_field: quota_bytes}
    api.request_json(target.base_url, "PUT", "/api/storage/quota", target.admin_token, quota)
    return token
