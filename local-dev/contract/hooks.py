"""What schemathesis does not know by itself, or no schema can say."""

import json

import schemathesis

# What no field of a form or a body says of all of them: its texts come to so many bytes together.
MAX_TEXT_BYTES = 16 * 1024
TEXTS = (
    "objectDescription",
    "sceneLocation",
    "audioStyle",
    "audioLyrics",
    "audioKey",
    "voiceoverScript",
)
LISTS = ("tags", "usageTags", "characterNames")


def operation(ctx) -> str:
    return f"{ctx.operation.method.upper()} {ctx.operation.path}" if ctx.operation else ""


@schemathesis.serializer("application/offset+octet-stream")
def bytes_of_an_upload(ctx, value):
    """They are sent as they are."""
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.hook
def filter_query(ctx, query):
    """A parameter without a value counts as absent, so it violates nothing. A cursor is taken as it was given."""
    return not query or ("cursor" not in query and all(value != "" for value in query.values()))


@schemathesis.hook
def filter_case(ctx, case):
    """Headers of the upload protocol exclude and need each other, and a header that could not be made is empty. With
    `fields`, fields are missing that the schema requires.
    """
    if "fields" in (case.query or {}):
        return False
    asked = f"{case.operation.method.upper()} {case.operation.path}"
    sent = {name.lower(): str(value).strip() for name, value in (case.headers or {}).items()}
    if "/api/uploads" in asked and any(name.startswith("x-schemathesis-unknown") for name in sent):
        # What nobody reads violates nothing.
        return False
    if asked == "POST /api/uploads":
        # The names in its metadata differ.
        names = [pair.split()[0] for pair in sent.get("upload-metadata", "").split(",") if pair.strip()]
        lengths = ("upload-length" in sent) + ("upload-defer-length" in sent)
        is_join = sent.get("upload-concat", "").startswith("final;")
        is_whole = all(sent.values()) and len(names) == len(set(names))
        return is_whole and lengths == (0 if is_join else 1)
    if asked == "PATCH /api/uploads/{upload}":
        # A proof comes instead of bytes, a length only if the creation had none.
        return not {"upload-proof", "upload-length"} & sent.keys() and all(sent.values())
    # Instead of a PATCH it needs what a PATCH needs.
    return asked != "POST /api/uploads/{upload}" or sent.get("x-http-method-override") != "PATCH"


@schemathesis.hook
def map_body(ctx, body):
    """Text that holds JSON is random text to schemathesis: `contentSchema` is only told to people."""
    if not is_form(ctx, body):
        return body
    body = dict(body)
    for name in LISTS:
        if isinstance(body.get(name), str):
            label = "".join(letter for letter in body[name] if letter.isprintable())
            body[name] = json.dumps([label[:64]])
    if isinstance(body.get("aiMetadata"), str):
        body["aiMetadata"] = json.dumps({"text": body["aiMetadata"][:64].replace("\0", "")})
    return body


@schemathesis.hook
def filter_body(ctx, body):
    """A field of a form without a text counts as absent; whether a file can be shown in place is in its bytes."""
    if not isinstance(body, dict):
        return True
    if operation(ctx) == "POST /api/files/{id}/url":
        return body.get("purpose") != "stream"
    if is_form(ctx, body) and any(isinstance(text, str) and not text.strip() for text in body.values()):
        return False
    return sum(len(str(body.get(name) or "").encode()) for name in TEXTS) < MAX_TEXT_BYTES


def is_form(ctx, body) -> bool:
    return isinstance(body, dict) and operation(ctx) in (
        "POST /api/files/upload",
        "POST /api/files/admin/upload",
    )
