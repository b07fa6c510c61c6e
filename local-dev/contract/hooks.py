"""What schemathesis does not know by itself."""

import schemathesis


@schemathesis.serializer("application/offset+octet-stream")
def bytes_of_an_upload(ctx, value):
    """They are sent as they are."""
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.hook
def filter_query(ctx, query):
    """A parameter without a value counts as absent, so it violates nothing."""
    return not query or all(value != "" for value in query.values())
