"""Download of a file by the device itself."""

from __future__ import annotations

import hashlib
import socket
import time
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from mlflow_nas.board.runtime.failure import Failure, JsonObject
from mlflow_nas.board.runtime.files import fsync, refuse_symlink

__all__ = ["fetch"]

STEP_S = 20.0  # longest wait for the server's next bytes
CHUNK = 65_536
TIMEOUTS = (TimeoutError, socket.timeout)  # two kinds until Python 3.10


def fetch(
    url: str,
    target: str,
    sha256: str,
    size_bytes: int,
    limit_s: float,
    headers: dict[str, str] | None = None,
) -> JsonObject:
    """Download a file; the target is written completely, with the right hash, or not at all.

    Args:
        url: http or https; its query may contain a secret and is in no error.
        target: path of the file.
        sha256: its hash.
        size_bytes: its size; the download stops beyond it.
        limit_s: longest time of the whole download.
        headers: of the request; a redirect to another place gets none of them.
    """
    shown = url.partition("?")[0]
    if not url.startswith(("http://", "https://")):
        raise Failure("request", f"the device fetches over http and https only, not {shown}")
    request = Request(url)  # noqa: S310 - http(s), see above
    for name, value in (headers or {}).items():
        request.add_unredirected_header(name, value)
    path = Path(target)
    part = path.with_name(f"{path.name}.part")
    for folder in (path.parent.parent, path.parent):
        refuse_symlink(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with urlopen(request, timeout=STEP_S) as source, part.open("wb") as file:  # noqa: S310 - http(s), see above
            found, size = _copy(source, file, size_bytes, time.monotonic() + limit_s)
        if (found, size) != (sha256, size_bytes):
            raise Failure(
                "device",
                f"{shown} has {size} bytes with sha256 {found}, not {size_bytes} bytes with {sha256}: "
                "deploy again",
            )
        fsync(part)
        part.replace(path)
    except HTTPError as error:
        raise Failure(
            "device",
            f"{shown} returns {error.code} {error.reason}: check the bucket, and the device's clock",
        ) from error
    except (URLError, HTTPException, ConnectionError, *TIMEOUTS) as error:
        reason = " ".join(str(getattr(error, "reason", None) or error).split())
        raise Failure(
            "device", f"the device can't fetch {shown}: {reason}; check its network and the store"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return {"size_bytes": size}


def _copy(source: BinaryIO, file: BinaryIO, size_bytes: int, end: float) -> tuple[str, int]:
    """Hash and size of the copied bytes: at most one chunk more than wanted."""
    digest, size = hashlib.sha256(), 0
    while size <= size_bytes:
        chunk = source.read(CHUNK)
        if not chunk:
            break
        if time.monotonic() > end:
            raise TimeoutError(f"only {size} of {size_bytes} bytes arrived in time")
        file.write(chunk)
        digest.update(chunk)
        size += len(chunk)
    return digest.hexdigest(), size
