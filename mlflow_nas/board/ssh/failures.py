"""What ssh prints about a failed log-in, as an error with the remedy."""

import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from mlflow_nas.board.ssh.destination import Destination
from mlflow_nas.board.transport import UnreachableError, last_output
from mlflow_nas.errors import ConfigError, NasError

__all__ = ["SilentError", "explain"]

_JUMP = re.compile(r"(?:ssh://)?(?:(?P<user>.*)@)?(?P<host>\[[^]]*\]|[^:]*)(?::(?P<port>\d+))?")
_REASONS = (
    r"connect to host (?P<host>\S+) port \d+: (?P<reason>.+)",
    r"Could not resolve hostname (?P<host>\S+): (?P<reason>.+)",
    r"open failed: (?P<reason>.+)",  # by the jump host
)
_CONSEQUENCE = re.compile(r"^Connection (to|closed by) .*\n", re.MULTILINE)
_CONSOLE = "on its console: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"


class SilentError(UnreachableError):
    """The host does not answer; a device that is starting may do so later."""


def explain(ssh: Sequence[str], destination: Destination, messages: str) -> NasError:
    """The error of a failed log-in.

    Args:
        ssh: the command with its configuration.
        destination: the device.
        messages: all that ssh printed.
    """
    if refused := re.search(r"^(.*line \d+: .*)\n(?:.*\n)*.*terminating, ", messages, re.MULTILINE):
        return ConfigError(f"ssh refuses its configuration: {refused[1]}; fix that line")
    hops = [_Hop(ssh, hop) for hop in _destinations(ssh, destination)]
    if "Host key verification failed" in messages:
        return _host_key_error(hops[-1], messages)
    denied = re.search(r"(\S+): Permission denied \((.*)\)", messages)
    if denied:
        return _denied(next((hop for hop in hops if hop.user_at_host == denied[1]), hops[-1]), denied[2])
    return _silence(hops, messages)


class _Hop:
    """The device or a jump host, as ssh reads its configuration."""

    def __init__(self, ssh: Sequence[str], destination: Destination) -> None:
        self.ssh, self.destination = ssh, destination
        self.settings = _settings(ssh, destination)
        self.host = self.settings.get("hostname", [destination.host])[0]
        self.user_at_host = "@".join([*self.settings.get("user", [])[:1], self.host])

    def __str__(self) -> str:
        return ":".join([self.user_at_host, *self.settings.get("port", [])])

    def key_files(self) -> list[Path]:
        """The private keys that ssh offers, besides those of the agent."""
        files = [Path(file).expanduser() for file in self.settings.get("identityfile", [])]
        return [file for file in files if file.is_file()]


def _destinations(ssh: Sequence[str], destination: Destination) -> Iterator[Destination]:
    """The jump hosts, then the device."""
    jumps = _settings(ssh, destination).get("proxyjump", [])
    for jump in jumps[0].split(",") if jumps else []:
        if found := _JUMP.fullmatch(jump):
            port = int(found["port"]) if found["port"] else None
            yield Destination(found["host"].strip("[]"), found["user"], port)
    yield destination


def _settings(ssh: Sequence[str], destination: Destination) -> dict[str, list[str]]:
    """All values of each setting of ssh for a host."""
    found: dict[str, list[str]] = {}
    for line in _run([*ssh, "-G", *destination.words]).splitlines():
        name, _, value = line.partition(" ")
        found.setdefault(name, []).append(value)
    return found


def _run(argv: Sequence[str]) -> str:
    """Both outputs of a command."""
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, start_new_session=True, check=False
    )
    return (done.stdout + done.stderr).decode(errors="replace").replace("\r", "")


def _host_key_error(device: _Hop, messages: str) -> UnreachableError:
    by_hand = device.destination.by_hand("ssh")
    trace = _run([*device.ssh, "-vvv", *device.destination.words, "true"])
    kind, shown = (re.findall(r"Server host key: (\S+) (\S+)", trace) or [("host", "that it hides")])[-1]
    key = f"the {kind} key {shown}"
    if revoked := re.search(r"host key for (\S+) (?:is marked as|was) revoked", messages):
        file, line = _place(r"found revoked key .*in file (.+):(\d+)$", trace)
        return UnreachableError(
            f"{revoked[1]} shows {key}, which is revoked in {file} line {line}: ",
            "give the device another host key, or remove that line if it is wrong",
        )
    if changed := re.search(r"Host key for (\S+) has changed", messages):
        file, line = _place(r"^Offending .*key in (.+):(\d+)$", messages)
        forget = shlex.join(["ssh-keygen", "-f", file, "-R", changed[1]])
        return UnreachableError(
            f"the host key of {changed[1]} changed: it shows {key}, {file} line {line} has another one. If "
            "the device was reinstalled, forget the old key and connect once by hand: ",
            f"{forget} && {by_hand}",
        )
    if unknown := re.search(r"host key is known for (\S+) and", messages):
        if device.settings.get("userknownhostsfile") == ["/dev/null"]:
            return UnreachableError(
                f"the host {unknown[1]} stays unknown: UserKnownHostsFile of ~/.ssh/config is /dev/null; ",
                f"remove that line, then connect once by hand: {by_hand}",
            )
        return UnreachableError(
            f"the host {unknown[1]} is unknown: it shows {key}. Compare that with the device's own "
            f"({_CONSOLE}), then connect once by hand: ",
            by_hand,
        )
    return UnreachableError(f"{device} is not trusted: {last_output(messages)}; see: ", f"{by_hand} -v")


def _place(pattern: str, messages: str) -> tuple[str, str]:
    """File and line of a key."""
    found = re.search(pattern, messages, re.MULTILINE)
    return (found[1], found[2]) if found else ("known_hosts", "?")


def _denied(hop: _Hop, methods: str) -> UnreachableError:
    copy = hop.destination.by_hand("ssh-copy-id")
    files = hop.key_files()
    for file in files:
        opened = _run(["ssh-keygen", "-y", "-P", "", "-f", str(file)])
        if "passphrase" in opened:
            return UnreachableError(
                f"the key {file} for {hop} has a passphrase; give it to the agent: ", f"ssh-add {file}"
            )
    by_agent = hop.settings.get("identitiesonly") != ["yes"] and "SHA256:" in _run(["ssh-add", "-l"])
    if not files and not by_agent:
        return UnreachableError(
            f"there is no key for {hop}, neither a file nor in the agent; create one: ",
            f"ssh-keygen -t ed25519 && {copy}",
        )
    return UnreachableError(f"{hop} refuses the user's keys (it takes {methods}); install one: ", copy)


def _silence(hops: Sequence[_Hop], messages: str) -> UnreachableError:
    for pattern in _REASONS:
        if found := re.search(pattern, messages):
            named = found.groupdict().get("host")
            hop = next((hop for hop in hops if hop.host == named), hops[-1])
            reason = found["reason"]
            break
    else:
        hop, reason = hops[-1], last_output(_CONSEQUENCE.sub("", messages) or messages).splitlines()[-1]
    if "Unable to negotiate" in reason:
        return UnreachableError(
            f"{hop}: {reason}; ", "allow what the device offers in ~/.ssh/config, or update its SSH server"
        )
    if "Too many authentication failures" in messages:
        return UnreachableError(f"{hop} was offered too many keys; ", "name one: key_file in the inventory")
    return SilentError(
        f"{hop} can't be reached: {reason}; ", "check that the device is on, its address and its SSH server"
    )
