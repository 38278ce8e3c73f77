"""Host, user, keys and jumps of a connection, from ~/.ssh/config."""

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
    """A host and the log-in.

    Attributes:
        asked: the name in the inventory.
        host: name or address to connect to.
        port: its port.
        user: its user.
        key_files: private keys to offer; empty for the user's usual ones.
        use_agent: whether keys of the agent are offered.
        known_hosts: files with the keys of hosts.
        alias: HostKeyAlias, the host's name in known_hosts; None for host and port.
        jumps: the ProxyJump hosts, in order.
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
    """The endpoint of a name by ~/.ssh/config; the arguments take precedence.

    Raises:
        ConfigError: the file can't be read, has a ProxyCommand or circular jumps; no such key file.
    """
    if key_file is not None and not key_file.is_file():
        raise ConfigError(
            f"the key file {key_file} does not exist; create it with ssh-keygen -t ed25519 -f {key_file}"
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
        raise ConfigError(f"the ProxyJump of {host} in ~/.ssh/config is circular: fix it")
    settings: Mapping[str, Any] = config.lookup(host)
    if "proxycommand" in settings:
        raise ConfigError(
            f"{host} has a ProxyCommand in ~/.ssh/config, which is not supported: use ProxyJump"
        )
    jumps = settings.get("proxyjump", "none")
    known_hosts = [
        *settings.get("userknownhostsfile", "~/.ssh/known_hosts").split(),
        *settings.get("globalknownhostsfile", "/etc/ssh/ssh_known_hosts").split(),
    ]
    return Endpoint(
        asked=host,
        host=settings["hostname"],
        port=_port(settings.get("port", "22"), host),
        user=settings.get("user") or getpass.getuser(),
        key_files=tuple(file for file in settings.get("identityfile", ()) if Path(file).is_file()),
        use_agent=settings.get("identitiesonly", "no") != "yes",
        known_hosts=tuple(Path(file).expanduser() for file in known_hosts),
        alias=settings.get("hostkeyalias"),
        jumps=() if jumps == "none" else _jumps(jumps, config, seen | {host}),
    )


def _port(text: str, host: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65_536:
        raise ConfigError(f"the port {text!r} of {host} in ~/.ssh/config is invalid: give 1 to 65535")
    return int(text)


def _jumps(chain: str, config: paramiko.SSHConfig, seen: frozenset[str]) -> tuple[Endpoint, ...]:
    """Each [user@]host[:port] of a ProxyJump, preceded by its own jumps."""
    hops: list[Endpoint] = []
    for jump in chain.split(","):
        user, _, rest = jump.strip().removeprefix("ssh://").rpartition("@")
        host, _, port = rest.partition(":")
        found = _resolve(host, config, seen)
        hops += found.jumps
        hops.append(
            replace(
                found,
                user=user or found.user,
                port=_port(port, host) if port else found.port,
                jumps=(),
            )
        )
    return tuple(hops)
