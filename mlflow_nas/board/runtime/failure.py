"""What a command answers."""

from __future__ import annotations

from typing import Any

__all__ = ["Answer", "Failure"]

Answer = dict[str, Any]


class Failure(Exception):  # noqa: N818 - an answer to the host, not a programming error
    """What can't be done, and whose fault it is: "model", "request" or "device"."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind
