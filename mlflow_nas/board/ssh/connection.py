"""One connection over SSH, to a host whose key is known."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import paramiko

from mlflow_nas.board.ssh.endpoint import Endpoint
from mlflow_nas.board.transport import UnreachableError
from mlflow_nas.errors import BoardError

__all__ = ["STEP_S", "Connection"]

STEP_S = 20.0
"""Longest time of one step: TCP, banner, log-in, opening a channel, an answer of the file server."""

_KEEPALIVE_S = 15


class _RefuseUnknown(paramiko.MissingHostKeyPolicy):
    """An unknown host is refused, with the way to make it known."""

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
            "that with the device's own (there: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then "
            "connect once by hand: ",
            f"ssh -p {hop.port} {hop.user}@{hop.asked}",
        )


class Connection:
    """Logged in, through the endpoint's jumps.

    Args:
        endpoint: where to.

    Raises:
        BoardError: a host can't be reached, is unknown, shows another key than before, or refuses the user.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._clients: list[paramiko.SSHClient] = []
        try:
            for hop in (*endpoint.jumps, endpoint):
                with _blame(hop):
                    self._log_in(hop)
        except BaseException:
            self.close()
            raise

    @property
    def transport(self) -> paramiko.Transport:
        """The encrypted way to the last host."""
        transport = self._clients[-1].get_transport()
        if transport is None:
            raise BoardError("the connection is closed; repeat the call")
        return transport

    @property
    def is_alive(self) -> bool:
        """Whether every hop still stands."""
        return all((way := client.get_transport()) and way.is_active() for client in self._clients)

    def close(self) -> None:
        """Close the last hop first."""
        for client in reversed(self._clients):
            client.close()

    def _log_in(self, hop: Endpoint) -> None:
        client = paramiko.SSHClient()
        for file in hop.known_hosts:
            if file.is_file():
                client.load_system_host_keys(str(file))
        client.set_missing_host_key_policy(_RefuseUnknown(hop))
        way = self._way(hop)
        self._clients.append(client)
        try:
            client.connect(
                hop.alias or hop.host,  # of the name only the key's entry is looked up: the way is given
                22 if hop.alias else hop.port,
                hop.user,
                sock=way,
                key_filename=list(hop.key_files) or None,  # type: ignore[arg-type]  # a list is documented
                allow_agent=hop.use_agent,
                look_for_keys=not hop.key_files,
                banner_timeout=STEP_S,
                auth_timeout=STEP_S,
                channel_timeout=STEP_S,
            )
        except BaseException:
            way.close()
            raise
        self.transport.set_keepalive(_KEEPALIVE_S)

    def _way(self, hop: Endpoint) -> socket.socket | paramiko.Channel:
        if not self._clients:
            return socket.create_connection((hop.host, hop.port), timeout=STEP_S)
        return self.transport.open_channel(
            "direct-tcpip", (hop.host, hop.port), ("127.0.0.1", 0), timeout=STEP_S
        )


@contextmanager
def _blame(hop: Endpoint) -> Iterator[None]:
    """What a failed log-in says, with what to do about it."""
    where = f"{hop.user}@{hop.host}:{hop.port}"
    try:
        yield
    except paramiko.BadHostKeyException as error:
        raise UnreachableError(
            f"the host key of {hop.known_as} changed: known_hosts has {error.expected_key.fingerprint}, it "
            f"shows {error.key.fingerprint}. If the device was set up anew, forget the old key and connect "
            "once by hand: ",
            f"ssh-keygen -R '{hop.known_as}' && ssh -p {hop.port} {hop.user}@{hop.asked}",
        ) from error
    except paramiko.PasswordRequiredException as error:
        raise UnreachableError(
            f"the key for {where} has a passphrase; give it to the agent: ",
            f"ssh-add {' '.join(hop.key_files)}",
        ) from error
    except paramiko.AuthenticationException as error:
        raise UnreachableError(
            f"{where} refuses the user's keys ({error}); bring one there: ",
            f"ssh-copy-id -p {hop.port} {hop.user}@{hop.asked}",
        ) from error
    except (OSError, EOFError, paramiko.SSHException) as error:
        said = str(error) or type(error).__name__
        raise UnreachableError(
            f"{where} can't be reached: {said}; ",
            "check that the device is on, its address and its SSH server",
        ) from error
