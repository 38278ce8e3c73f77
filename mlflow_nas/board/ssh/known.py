"""Host keys of known_hosts files; unknown hosts are refused."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import paramiko
from paramiko.hostkeys import HostKeyEntry, InvalidHostKey

from mlflow_nas.board.ssh.endpoint import Endpoint
from mlflow_nas.board.transport import UnreachableError

__all__ = ["RefuseUnknown", "read_known_hosts"]

_MARKER = "@"  # @cert-authority and @revoked: neither makes a host known


class RefuseUnknown(paramiko.MissingHostKeyPolicy):
    """Refuses an unknown host; the error has the command that makes it known."""

    def __init__(self, hop: Endpoint) -> None:
        self._hop = hop

    def missing_host_key(
        self,
        client: paramiko.SSHClient,  # noqa: ARG002 - paramiko's signature
        hostname: str,
        key: paramiko.PKey,
    ) -> None:
        """Refuse."""
        hop = self._hop
        raise UnreachableError(
            f"the host {hostname} is unknown: it shows the {key.get_name()} key {key.fingerprint}. Compare "
            "that with the device's own (on its console: ssh-keygen -lf "
            "/etc/ssh/ssh_host_ed25519_key.pub), then connect once by hand: ",
            f"ssh -p {hop.port} {hop.user}@{hop.asked}",
        )


def read_known_hosts(files: Iterable[Path], keys: paramiko.HostKeys) -> None:
    """Add the keys of the existing files; lines that are no host's key are ignored, as ssh does.

    Raises:
        UnreachableError: a file can't be read.
    """
    for file in files:
        if file.is_file():
            for entry in _entries(file):
                for name in entry.hostnames or ():
                    if entry.key is not None and not keys.check(name, entry.key):
                        keys.add(name, entry.key.get_name(), entry.key)


def _entries(file: Path) -> Iterator[HostKeyEntry]:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise UnreachableError(f"{file} can't be read: {error.strerror}; ", "fix its permissions") from error
    for line in map(str.strip, lines):
        if line and line[0] not in f"#{_MARKER}":
            with contextlib.suppress(InvalidHostKey, paramiko.SSHException, ValueError):
                entry = HostKeyEntry.from_line(line)
                if entry is not None:
                    yield entry
