"""Where a connection leads, as ~/.ssh/config describes it."""

import getpass
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import paramiko

from mlflow_nas.board.ssh.user_config import read_user_config
from mlflow_nas.errors import ConfigError

__all__ = ["Endpoint", "resolve"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A host and how to log in there.

    Attributes:
        asked: the name as the user wrote it.
        host: name or address to connect to.
        port: its port.
        user: who logs in.
        key_files: private keys to offer; empty for the user's usual ones.
        use_agent: whether keys of the agent are offered.
        known_hosts: files with the keys of hosts.
        alias: the name under which known_hosts holds the host's key; None for host and port.
        jumps: the endpoints on the way, the first one first.
    """

    asked: str
    host: str
    port: int
    user: str
    key_files: tuple[str, ...]
    use_agent: bool
    known_hosts: tuple[Path, ...]
    alias: str | None = None
    jumps: tuple["Endpoint", ...] = ()

    @property
    def known_as(self) -> str:
        """The name in known_hosts, as ssh-keygen -R takes it."""
        return self.alias or (self.host if self.port == 22 else f"[{self.host}]:{self.port}")


def resolve(
    host: str, *, user: str | None = None, port: int | None = None, key_file: Path | None = None
) -> Endpoint:
    """The endpoint behind a name, as ~/.ssh/config says; what is given here goes before it.

    Raises:
        ConfigError: the file can't be read, wants a ProxyCommand or jumps in a circle; no such key file.
    """
    if key_file is not None and not key_file.is_file():
        raise ConfigError(
            f"the key file {key_file} does not exist; make one with ssh-keygen -t ed25519 -f {key_file}"
        )
    found = _resolve(host, read_user_config(), frozenset())
    return replace(
        found,
        user=user or found.user,
        port=port or found.port,
        key_files=(str(key_file),) if key_file else found.key_files,
        use_agent=found.use_agent and key_file is None,
    )


def _resolve(host: str, config: paramiko.SSHConfig, seen: frozenset[str]) -> Endpoint:
    if host in seen:
        raise ConfigError(f"the ProxyJump of {host} in ~/.ssh/config leads in a circle: mend it")
    said: Mapping[str, Any] = config.lookup(host)
    if "proxycommand" in said:
        raise ConfigError(
            f"{host} has a ProxyCommand in ~/.ssh/config, which is not supported: use ProxyJump"
        )
    jumps = said.get("proxyjump", "none")
    known_hosts = [
        *said.get("userknownhostsfile", "~/.ssh/known_hosts").split(),
        *said.get("globalknownhostsfile", "/etc/ssh/ssh_known_hosts").split(),
    ]
    return Endpoint(
        asked=host,
        host=said["hostname"],
        port=_port(said.get("port", "22"), host),
        user=said.get("user") or getpass.getuser(),
        key_files=tuple(file for file in said.get("identityfile", ()) if Path(file).is_file()),
        use_agent=said.get("identitiesonly", "no") != "yes",
        known_hosts=tuple(Path(file).expanduser() for file in known_hosts),
        alias=said.get("hostkeyalias"),
        jumps=() if jumps == "none" else _jumps(jumps, config, seen | {host}),
    )


def _port(text: str, host: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65_536:
        raise ConfigError(f"the port {text!r} of {host} in ~/.ssh/config is none: give 1 to 65535")
    return int(text)


def _jumps(chain: str, config: paramiko.SSHConfig, seen: frozenset[str]) -> tuple[Endpoint, ...]:
    """Each [user@]host[:port] of a ProxyJump, after the jumps that lead to itself."""
    way: list[Endpoint] = []
    for jump in chain.split(","):
        user, _, rest = jump.strip().removeprefix("ssh://").rpartition("@")
        host, _, port = rest.partition(":")
        found = _resolve(host, config, seen)
        way += found.jumps
        way.append(
            replace(
                found,
                user=user or found.user,
                port=_port(port, host) if port else found.port,
                jumps=(),
            )
        )
    return tuple(way)
