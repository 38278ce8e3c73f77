"""A file that the device itself fetches: for devices that reach a store, and that nobody reaches well."""

from __future__ import annotations

import hashlib
import socket
import time
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from mlflow_nas.board.runtime.failure import Answer, Failure
from mlflow_nas.board.runtime.files import sync

__all__ = ["fetch"]

STEP_S = 20.0  # longest silence of the store
CHUNK = 65_536
TIMEOUTS = (TimeoutError, socket.timeout)  # two kinds until Python 3.10


def fetch(url: str, target: str, sha256: str, size_bytes: int, limit_s: float) -> Answer:
    """Download a file; it appears whole, with the right hash, or not at all.

    Args:
        url: http or https; what follows its question mark may be a secret, and is never said.
        target: path of the file.
        sha256: its hash.
        size_bytes: its size; more is not taken.
        limit_s: longest time of it all.
    """
    shown = url.partition("?")[0]
    if not url.startswith(("http://", "https://")):
        raise Failure("request", f"the device fetches over http and https only, not {shown}")
    path = Path(target)
    part = path.with_name(f"{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with urlopen(url, timeout=STEP_S) as source, part.open("wb") as file:  # noqa: S310 - http(s), see above
            found, size = _copy(source, file, size_bytes, time.monotonic() + limit_s)
        if (found, size) != (sha256, size_bytes):
            raise Failure(
                "device",
                f"{shown} brought {size} bytes with sha256 {found}, not {size_bytes} bytes with {sha256}: "
                "deploy again",
            )
        sync(part)
        part.replace(path)
    except HTTPError as error:
        raise Failure(
            "device", f"{shown} answers {error.code} {error.reason}: check the bucket, and the device's clock"
        ) from error
    except (URLError, HTTPException, ConnectionError, *TIMEOUTS) as error:
        reason = " ".join(str(getattr(error, "reason", None) or error).split())
        raise Failure(
            "device", f"the device can't fetch {shown}: {reason}; check its network and the store"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return {"size_bytes": size}


def _copy(source: BinaryIO, file: BinaryIO, most: int, end: float) -> tuple[str, int]:
    """Hash and size of what was copied: at most one chunk more than wanted."""
    digest, size = hashlib.sha256(), 0
    while size <= most:
        chunk = source.read(CHUNK)
        if not chunk:
            break
        if time.monotonic() > end:
            raise TimeoutError(f"only {size} of {most} bytes came in time")
        file.write(chunk)
        digest.update(chunk)
        size += len(chunk)
    return digest.hexdigest(), size
