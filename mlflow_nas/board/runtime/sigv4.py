"""Requests to an S3 bucket, signed by AWS Signature Version 4 with the standard library."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timezone
from typing import NamedTuple
from urllib.parse import urlsplit

__all__ = ["Credentials", "signed_headers"]

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"


class Credentials(NamedTuple):
    """A key of the store, and its region."""

    key_id: str
    secret: str
    region: str


def signed_headers(
    method: str, url: str, credentials: Credentials, body: bytes = b"", now: datetime | None = None
) -> dict[str, str]:
    """The headers that sign a request without a query.

    Args:
        method: GET or PUT.
        url: its path is percent-encoded.
        credentials: of the store.
        body: of the request.
        now: its time, UTC; None for the present.

    Source: docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
    """
    parts, content = urlsplit(url), hashlib.sha256(body).hexdigest()
    moment = (now or datetime.now(timezone.utc)).strftime("%Y%m%dT%H%M%SZ")  # noqa: UP017 - Python 3.9
    headers = {"host": parts.netloc, "x-amz-content-sha256": content, "x-amz-date": moment}
    names = ";".join(headers)
    lines = [f"{name}:{value}" for name, value in headers.items()]
    canonical = "\n".join([method, parts.path or "/", "", *lines, "", names, content])
    scope = f"{moment[:8]}/{credentials.region}/s3/{TERMINATOR}"
    text = "\n".join([ALGORITHM, moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{credentials.secret}".encode()
    for part in (*scope.split("/"), text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = (
        f"{ALGORITHM} Credential={credentials.key_id}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
    )
    return {**headers, "Authorization": signature}
