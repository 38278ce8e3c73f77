"""The device's part of an upload: two scripts for its shell, before and after sftp."""

import shlex
from collections.abc import Sequence

__all__ = ["LINK", "finish_upload", "prepare_upload"]

LINK = 9
"""Exit code for a symbolic link in the path."""

_HASH = "import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest())"
_SUM = 'sum() {{ {{ sha256sum "$1" || {python} -c {code} "$1"; }} 2>/dev/null | cut -c1-64; }}\n'

_PREPARE = """
for path in "$@"; do [ ! -L "$path" ] || { echo "$path is a symbolic link" >&2; exit 9; }; done
mkdir -p "${1%/*}" "${2%/*}" || exit 1
for old in "${1%-*}"-*.part; do
  owner=${old##*-}
  [ -f "$1" ] || [ ! -f "$old" ] || [ -e "/proc/${owner%.part}" ] || mv "$old" "$1"
done
size=0; [ ! -f "$1" ] || size=$(wc -c <"$1")
echo "$size" "$(sum "$2")"
"""

_FINISH = """
if [ "$(sum "$1")" = "$3" ]; then mv -f "$1" "$2" && echo complete; else rm -f "$1"; fi
"""


def prepare_upload(part: str, target: str, folders: Sequence[str], python: Sequence[str]) -> list[str]:
    """Make the folders, take over an upload whose connection ended; prints its size and the target's hash.

    Args:
        part: where the upload goes, HASH-PROCESS.part; the process lives as long as the connection.
        target: the path of the complete file.
        folders: of both, below the device's own; a link among them is refused.
        python: the device's, for hashes where sha256sum is missing.
    """
    return ["sh", "-c", _sum(python) + _PREPARE, "sh", part, target, *folders]


def finish_upload(part: str, target: str, sha256: str, python: Sequence[str]) -> list[str]:
    """Move a complete upload to its target, else remove it; prints "complete" for the former."""
    return ["sh", "-c", _sum(python) + _FINISH, "sh", part, target, sha256]


def _sum(python: Sequence[str]) -> str:
    return _SUM.format(python=shlex.join(python), code=shlex.quote(_HASH))
