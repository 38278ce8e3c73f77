"""The JSON objects of requests and answers, and a command's error."""

from __future__ import annotations

from typing import Any

__all__ = ["Failure", "JsonObject"]

JsonObject = dict[str, Any]


class Failure(Exception):  # noqa: N818 - an answer to the host, not a programming error
    """A command failed; `kind` is the cause: "model", "request", "library" or "device"."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
