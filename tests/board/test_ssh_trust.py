"""Authentication: hosts by their keys, users by keys or the agent."""

import getpass
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ssh_server import SshServer, new_key, ssh_device

from mlflow_nas.board import SshTransport, get_board
from mlflow_nas.board.ssh import resolve
from mlflow_nas.config import load_devices
from mlflow_nas.errors import BoardError, ConfigError

pytestmark = pytest.mark.services


def _echo(host: str, folder: Path) -> str:
    """Output of a command on the device."""
    transport = SshTransport(resolve(host), str(folder), ("python3",))
    try:
        return transport.run(["echo", "here"], timeout_s=10).stdout.strip()
    finally:
        transport.close()


@pytest.fixture
def agent(
    ssh_server: SshServer,
    ssh_home: Path,  # noqa: ARG001 - it removes the user's agent first
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    """An agent with the user's key."""
    address = tmp_path / "agent"
    command = ["ssh-agent", "-D", "-a", str(address)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(address))
        add = ["ssh-add", "-q", str(ssh_server.user_key)]
        for _ in range(50):
            if subprocess.run(add, capture_output=True, check=False).returncode == 0:
                break
            time.sleep(0.1)
        yield
        running.terminate()


@pytest.mark.usefixtures("agent")
def test_a_key_of_the_agent_is_enough(ssh_server: SshServer, ssh_home: Path, tmp_path: Path) -> None:
    """Without any key file; with IdentitiesOnly the agent is not used."""
    config = f"Host bare only\n HostName 127.0.0.1\n Port {ssh_server.port}\nHost only\n IdentitiesOnly yes\n"
    ssh_server.write_home(ssh_home, config=config)
    assert _echo("bare", tmp_path) == "here"
    with pytest.raises(BoardError, match=r"no key for .*; create one: ssh-keygen .* && ssh-copy-id -p"):
        _echo("only", tmp_path)


@pytest.mark.usefixtures("ssh_home")
def test_a_key_with_a_passphrase_needs_the_agent(tmp_path: Path) -> None:
    """There is no prompt, and no file may have it: the error has the ssh-add command."""
    key = new_key(tmp_path / "locked")
    lock = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", str(key)]
    subprocess.run(lock, check=True)
    with pytest.raises(BoardError, match=rf"has a passphrase; give it to the agent: ssh-add {key}"):
        get_board(ssh_device(tmp_path, key_file=key)).facts()


@pytest.mark.parametrize("key", ["password", "passphrase"])
def test_the_inventory_refuses_passwords(tmp_path: Path, key: str) -> None:
    """Like any unknown key."""
    file = tmp_path / "devices.yaml"
    file.write_text(f"devices:\n  nano: {{transport: ssh, host: nano, {key}: secret}}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"devices.nano.{key} is an unknown key"):
        load_devices(file)


def test_strict_host_key_checking_cant_be_disabled(
    ssh_server: SshServer, ssh_home: Path, tmp_path: Path
) -> None:
    """StrictHostKeyChecking no in ~/.ssh/config has no effect."""
    ssh_server.write_home(ssh_home, known=False, config="Host *\n StrictHostKeyChecking no\n")
    with pytest.raises(BoardError, match=r"is unknown: it shows the ssh-ed25519 key SHA256:"):
        _echo("board", tmp_path)


def test_known_hosts_are_read_like_ssh(ssh_server: SshServer, ssh_home: Path, tmp_path: Path) -> None:
    """Hashed names are matched; authorities, broken lines and comments are ignored."""
    known = ssh_home / ".ssh/known_hosts"
    hash_names = ["ssh-keygen", "-q", "-H", "-f", str(known)]
    subprocess.run(hash_names, check=True, capture_output=True)
    hashed = known.read_text(encoding="utf-8")
    assert hashed.startswith("|1|")
    others = f"# mine\n@cert-authority *.lan {ssh_server.host_key}\nhost ssh-ed25519 no-base64!\nhalf\n"
    known.write_text(others + hashed, encoding="utf-8")
    assert _echo("board", tmp_path) == "here"


def test_a_certificate_authority_makes_no_host_known(
    ssh_server: SshServer, ssh_home: Path, tmp_path: Path
) -> None:
    """A marked line has another key than the host's."""
    line = f"@cert-authority [127.0.0.1]:{ssh_server.port} {ssh_server.host_key}\n"
    (ssh_home / ".ssh/known_hosts").write_text(line, encoding="utf-8")
    with pytest.raises(BoardError, match="is unknown"):
        _echo("board", tmp_path)


def test_the_global_known_hosts_are_read(ssh_server: SshServer, ssh_home: Path, tmp_path: Path) -> None:
    """A fleet's keys may be in one file for all users."""
    everybody = tmp_path / "ssh_known_hosts"
    everybody.write_text(f"[127.0.0.1]:{ssh_server.port} {ssh_server.host_key}\n", encoding="utf-8")
    ssh_server.write_home(ssh_home, known=False, config=f"Host *\n GlobalKnownHostsFile {everybody}\n")
    assert _echo("board", tmp_path) == "here"


def test_included_files_are_followed(ssh_server: SshServer, ssh_home: Path, tmp_path: Path) -> None:
    """Include takes patterns below ~/.ssh, in included files too; the enclosing block continues after it."""
    boards = ssh_home / ".ssh/boards.d"
    boards.mkdir()
    board = f"Host inner\n HostName 127.0.0.1\n Port {ssh_server.port}\n"
    (boards / "a.conf").write_text("Include boards.d/deeper", encoding="utf-8")
    (boards / "deeper").write_text(board, encoding="utf-8")
    text = f"Include = boards.d/*.conf\nIdentityFile {ssh_server.user_key}\nHost *\n User nobody\n"
    (ssh_home / ".ssh/config").write_text(f"User {getpass.getuser()}\n{text}", encoding="utf-8")
    assert _echo("inner", tmp_path) == "here"
    assert resolve("elsewhere").key_files == (str(ssh_server.user_key),)


def test_a_file_that_includes_itself_is_refused(ssh_home: Path) -> None:
    """The error names the file."""
    (ssh_home / ".ssh/config").write_text("Include config\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"nested deeper than 16 files; does .*/config include itself\?"):
        resolve("board")
