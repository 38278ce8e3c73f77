"""One SSH connection to a host with a known key."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import paramiko

from mlflow_nas.board.ssh.endpoint import Endpoint
from mlflow_nas.board.ssh.known import RefuseUnknown, read_known_hosts
from mlflow_nas.board.transport import UnreachableError
from mlflow_nas.errors import BoardError

__all__ = ["STEP_S", "Connection", "SilentError", "limited"]

STEP_S = 20.0
"""Longest time of one step: TCP, banner, keys, log-in, opening a channel, an answer of the file server."""

_KEEPALIVE_S = 15
_NO_KEY = "No authentication methods available"  # paramiko has no error of its own for it


class SilentError(UnreachableError):
    """The host does not answer; a device that is starting may do so later."""


class _Closable(Protocol):
    def close(self) -> None: ...


@contextmanager
def limited(awaited: _Closable) -> Iterator[None]:
    """Close the object of a step that takes too long: some of paramiko's waits have no time-out."""
    guard = threading.Timer(STEP_S, awaited.close)
    guard.daemon = True
    guard.start()
    try:
        yield
    finally:
        guard.cancel()


class Connection:
    """Logged in, through the endpoint's jumps.

    Args:
        endpoint: of the device.

    Raises:
        SilentError: a host can't be reached.
        UnreachableError: its key is unknown or changed, or it refuses the user.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._clients: list[paramiko.SSHClient] = []
        try:
            for hop in (*endpoint.jumps, endpoint):
                with _explained(hop):
                    self._log_in(hop)
        except BaseException:
            self.close()
            raise

    @property
    def transport(self) -> paramiko.Transport:
        """The encrypted transport to the last host."""
        transport = self._clients[-1].get_transport()
        if transport is None:
            raise BoardError("the connection is closed; repeat the call")
        return transport

    @property
    def is_alive(self) -> bool:
        """Whether every hop is still connected."""
        return all((hop := client.get_transport()) and hop.is_active() for client in self._clients)

    def check(self) -> None:
        """Wait for an answer of the last host.

        Raises:
            EOFError: there was none; the connection is closed.
        """
        with limited(self.transport):
            self.transport.global_request("keepalive@openssh.com")
        if not self.is_alive:
            raise EOFError(f"no answer within {STEP_S:g} s")

    def close(self) -> None:
        """Close the last hop first."""
        for client in reversed(self._clients):
            client.close()

    def _log_in(self, hop: Endpoint) -> None:
        client = paramiko.SSHClient()
        read_known_hosts(hop.known_hosts, client.get_host_keys())
        client.set_missing_host_key_policy(RefuseUnknown(hop))
        channel = self._channel(hop)
        self._clients.append(client)
        try:
            client.connect(
                hop.alias or hop.host,  # only looked up in known_hosts: `sock` is connected
                22 if hop.alias else hop.port,
                hop.user,
                sock=channel,
                key_filename=list(hop.key_files) or None,  # type: ignore[arg-type]  # a list is documented
                allow_agent=hop.use_agent,
                look_for_keys=not hop.key_files,
                timeout=2 * STEP_S,  # of the banner and the keys
                banner_timeout=STEP_S,
                auth_timeout=STEP_S,
                channel_timeout=STEP_S,
            )
        except BaseException:
            channel.close()
            raise
        self.transport.set_keepalive(_KEEPALIVE_S)

    def _channel(self, hop: Endpoint) -> socket.socket | paramiko.Channel:
        if not self._clients:
            return socket.create_connection((hop.host, hop.port), timeout=STEP_S)
        return self.transport.open_channel(
            "direct-tcpip", (hop.host, hop.port), ("127.0.0.1", 0), timeout=STEP_S
        )


@contextmanager
def _explained(hop: Endpoint) -> Iterator[None]:
    """Turn the errors of a log-in into errors with a remedy."""
    where = f"{hop.user}@{hop.host}:{hop.port}"
    try:
        yield
    except paramiko.BadHostKeyException as error:
        raise UnreachableError(
            f"the host key of {hop.known_as} changed: known_hosts has {error.expected_key.fingerprint}, it "
            f"shows {error.key.fingerprint}. If the device was reinstalled, forget the old key and connect "
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
            f"{where} refuses the user's keys ({error}); install one: ",
            f"ssh-copy-id -p {hop.port} {hop.user}@{hop.asked}",
        ) from error
    except (OSError, EOFError, paramiko.SSHException) as error:
        reason = str(error) or type(error).__name__
        if reason == _NO_KEY:
            raise UnreachableError(
                f"there is no key for {where}, neither a file nor in the agent; create one: ",
                f"ssh-keygen -t ed25519 && ssh-copy-id -p {hop.port} {hop.user}@{hop.asked}",
            ) from error
        raise SilentError(
            f"{where} can't be reached: {reason}; ",
            "check that the device is on, its address and its SSH server",
        ) from error
