"""Passwords in URLs never reach a message, a log, a run or a result."""

import re

__all__ = ["redact"]

_MASK = "***"
_USERINFO = re.compile(r"(://[^:/@\s'\"]*:)[^\s'\"]+@")
_QUERY = re.compile(
    r"([?&;](?:\w*password|passwd|pwd|\w*token|\w*secret|\w*access_key|api_?key)=)[^&;\s'\"]+", re.IGNORECASE
)


def redact(text: str) -> str:
    """The text with every password and token in a URL masked: of the authority and of the query."""
    return _QUERY.sub(rf"\1{_MASK}", _USERINFO.sub(rf"\1{_MASK}@", text))
