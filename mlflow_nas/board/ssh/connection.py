"""One connection by OpenSSH, which the commands `ssh` and `sftp` share."""

import contextlib
import math
import shlex
import socket
import tempfile
from pathlib import Path
from subprocess import Popen, TimeoutExpired

from mlflow_nas.board.ssh.destination import Destination
from mlflow_nas.board.ssh.failures import explain
from mlflow_nas.errors import ConfigError

__all__ = ["Connection"]

_CONFIG = """\
BatchMode yes
StrictHostKeyChecking yes
ConnectTimeout {jump_s}
ServerAliveInterval {step_s}
ServerAliveCountMax 1
LogLevel INFO
ClearAllForwardings yes
RemoteCommand none
RequestTTY no
Include "{home}/.ssh/config"
Include /etc/ssh/ssh_config
Match all
UserKnownHostsFile "{home}/.ssh/known_hosts" "{home}/.ssh/known_hosts2"
"""
"""ssh takes the first value of a setting: the user's files don't change those above them. Jump hosts get this
file too, but no option of the command line. The last line is ssh's default, for the HOME of this process."""

_SIGN = "mlflow_nas"
_ECHO = shlex.join(["sh", "-c", f"echo {_SIGN} $$ $PWD; exec cat"])
_PROBE = "are you there\n"
_END_S = 5.0


class Connection:
    """Logged in; a `cat` on the device holds the connection until this process closes it, or dies.

    Args:
        destination: the host.
        step_s: longest wait for a step of the log-in, and for an answer.

    Attributes:
        home: the user's folder on the device.
        session: process id of the `cat`, which ends with the connection.

    Raises:
        UnreachableError: the host can't be reached, has another key than the known one, or refuses the user.
        ConfigError: ssh refuses ~/.ssh/config, or is missing on this machine.
    """

    def __init__(self, destination: Destination, step_s: float) -> None:
        self._destination = destination
        self._folder = tempfile.TemporaryDirectory(prefix="mlflow_nas-")
        self._config, self._log = (Path(self._folder.name, name) for name in ("config", "log"))
        self._shared = ["-F", str(self._config), "-o", f"ControlPath={self._folder.name}/control"]
        whole_s = max(2, math.ceil(step_s))
        text = _CONFIG.format(home=Path.home(), step_s=whole_s, jump_s=whole_s // 2)
        self._config.write_text(text, encoding="utf-8")
        self._pipe, theirs = socket.socketpair()
        self._pipe.settimeout(2 * whole_s)  # ssh's own time-outs, which have reasons, come first
        self._lines = self._pipe.makefile(encoding="utf-8", errors="replace")
        with theirs:
            self._process = self._start(theirs, whole_s)
        try:
            self.session, self.home = self._log_in()
        except BaseException:
            self.close()
            raise
        self._pipe.settimeout(step_s)

    def words(self, program: str, *options: str) -> list[str]:
        """The arguments of `ssh` or `sftp` through this connection, and through no new one; the host last."""
        through = [*self._shared, "-o", "ControlMaster=no", "-o", "ProxyCommand=false"]
        return [program, *through, *options, self._destination.name]

    def answers(self) -> bool:
        """Whether the host answers within a step."""
        try:
            self._pipe.sendall(_PROBE.encode())
        except OSError:
            return False
        return self._line() == _PROBE

    def close(self) -> str:
        """End the connection; ssh's last message, empty without one."""
        self._process.terminate()
        try:
            self._process.wait(_END_S)
        except TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._lines.close()
        self._pipe.close()
        last = self._messages().strip().rpartition("\n")[-1]
        self._folder.cleanup()
        return last

    def _start(self, pipe: socket.socket, whole_s: int) -> "Popen[bytes]":
        options = ["-o", "ControlMaster=yes", "-o", "ControlPersist=no", "-o", f"ConnectTimeout={whole_s}"]
        only = ["-o", "IdentitiesOnly=yes"] if self._destination.key_file else []
        argv = ["ssh", *self._shared, *options, *only, *self._destination.words, _ECHO]
        ends = pipe.fileno()
        try:
            with self._log.open("wb") as log:
                # A session of its own has no terminal to ask on, and no Ctrl-C.
                return Popen(argv, stdin=ends, stdout=ends, stderr=log, start_new_session=True)
        except OSError as error:
            self._pipe.close()
            self._folder.cleanup()
            raise ConfigError(
                f"ssh can't be started: {error}; install it: sudo apt-get install openssh-client"
            ) from error

    def _log_in(self) -> tuple[str, str]:
        """The remote process's id and its folder."""
        said = ""
        while line := self._line():
            sign, _, rest = line.partition(" ")
            if sign == _SIGN:
                session, _, home = rest.rstrip("\n").partition(" ")
                return session, home
            said += line
        with contextlib.suppress(TimeoutExpired):
            self._process.wait(_END_S)  # its last message follows the end of its output
        raise explain(["ssh", "-F", str(self._config)], self._destination, said + self._messages())

    def _line(self) -> str:
        """The next line of the device; empty at the end, and after a time-out."""
        try:
            return self._lines.readline()
        except OSError:
            return ""

    def _messages(self) -> str:
        """All messages of ssh."""
        return self._log.read_text(encoding="utf-8", errors="replace").replace("\r", "")
