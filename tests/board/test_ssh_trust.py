"""Authentication: hosts by their keys, users by keys or the agent."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ssh_server import SshServer, new_key, ssh_device

from mlflow_nas.board import SshTransport, get_board
from mlflow_nas.board.ssh import Destination
from mlflow_nas.config import load_devices
from mlflow_nas.errors import BoardError, ConfigError

pytestmark = pytest.mark.services


def _echo(host: str, folder: Path) -> str:
    """Output of a command on the device."""
    transport = SshTransport(Destination(host), str(folder), ("python3",))
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
    own = f"Host bare only\n HostName 127.0.0.1\n Port {ssh_server.port}\n IdentityFile /nowhere\n"
    config = f"{own}Host only\n IdentitiesOnly yes\n"
    ssh_server.write_home(ssh_home, config=config)
    assert _echo("bare", tmp_path) == "here"
    with pytest.raises(BoardError, match=r"no key for .*; create one: ssh-keygen .* && ssh-copy-id only"):
        _echo("only", tmp_path)


@pytest.mark.usefixtures("ssh_home")
def test_a_key_with_a_passphrase_needs_the_agent(ssh_server: SshServer, tmp_path: Path) -> None:
    """There is no prompt, and no file may have it: the error has the ssh-add command."""
    key = new_key(tmp_path / "locked")
    lock = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", str(key)]
    subprocess.run(lock, check=True)
    with pytest.raises(BoardError, match=rf"has a passphrase; give it to the agent: ssh-add {key}"):
        get_board(ssh_device(tmp_path, "127.0.0.1", port=ssh_server.port, key_file=key)).facts()


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


def test_a_revoked_host_key_is_refused(ssh_server: SshServer, ssh_home: Path, tmp_path: Path) -> None:
    """The error has the line that revokes it, also where another line knows the key."""
    known = ssh_home / ".ssh/known_hosts"
    known.write_text(
        f"{known.read_text(encoding='utf-8')}@revoked * {ssh_server.host_key}\n", encoding="utf-8"
    )
    with pytest.raises(
        BoardError, match=r"SHA256:\S+, which is revoked in .*known_hosts line 2: give the device"
    ):
        _echo("board", tmp_path)


def test_hosts_that_are_never_remembered_have_a_remedy(
    ssh_server: SshServer, ssh_home: Path, tmp_path: Path
) -> None:
    """With UserKnownHostsFile /dev/null, connecting by hand alone would not help."""
    ssh_server.write_home(ssh_home, config="Host *\n UserKnownHostsFile /dev/null\n")
    with pytest.raises(
        BoardError, match=r"UserKnownHostsFile .* is /dev/null; remove that line, then connect"
    ):
        _echo("board", tmp_path)


def test_the_command_to_connect_by_hand_names_the_key_file(ssh_server: SshServer, ssh_home: Path) -> None:
    """And the port and the user of the inventory."""
    ssh_server.write_home(ssh_home, known=False)
    device = ssh_device(ssh_home, "127.0.0.1", port=ssh_server.port, user="ada", key_file=ssh_server.user_key)
    with pytest.raises(BoardError) as caught:
        get_board(device).facts()
    assert str(caught.value).endswith(
        f"by hand: ssh -p {ssh_server.port} -i {ssh_server.user_key} ada@127.0.0.1"
    )


@pytest.mark.parametrize(
    ("name", "known_hosts", "config"),
    [
        pytest.param("board", "[127.0.0.*]:{port} {key}\n", "", id="pattern"),
        pytest.param(
            "loopback", "[LocalHost]:{port} {key}\n", "Host loopback\n HostName LOCALHOST\n", id="capitals"
        ),
        pytest.param("board", "", 'Host *\n UserKnownHostsFile "{home}/my hosts/known"\n', id="quoted path"),
        pytest.param("board", "[127.0.0.1]:{port} {key}\n", "Host *\n ProxyCommand none\n", id="no proxy"),
        pytest.param("board", "[127.0.0.1]:{port} {key}\n", 'Match exec "true"\n User root\n', id="match"),
    ],
)
def test_configuration_is_read_by_ssh_itself(
    ssh_server: SshServer, ssh_home: Path, tmp_path: Path, name: str, known_hosts: str, config: str
) -> None:
    """Patterns, capitals and quoted paths of known hosts; no proxy; commands of Match."""
    values = {"port": ssh_server.port, "key": ssh_server.host_key, "home": ssh_home}
    login = (
        f"Host loopback\n HostName 127.0.0.1\n Port {ssh_server.port}\n IdentityFile {ssh_server.user_key}\n"
    )
    ssh_server.write_home(ssh_home, config=config.format(**values) + login)
    (ssh_home / ".ssh/known_hosts").write_text(known_hosts.format(**values), encoding="utf-8")
    (ssh_home / "my hosts").mkdir()
    (ssh_home / "my hosts/known").write_text("[127.0.0.1]:{port} {key}".format(**values), encoding="utf-8")
    assert _echo(name, tmp_path) == "here"


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ("Host a\n Prot 22\n", r"config: line \d+: Bad configuration option: prot; fix that line"),
        ("Host a\n Port none\n", r"config:? line \d+: .*none"),
        ("Host a\n HostName nowhere.invalid\n", r"nowhere.invalid:22 can't be reached: "),
        ("Host a\n ProxyJump me@[::1]:1\n", r"^me@::1:1 can't be reached: .*; check that the device is on"),
        (
            "Host a\n HostName 127.0.0.1\n Port 1\n ProxyJump board\n",
            r"127.0.0.1:1 can't be reached: .*refused",
        ),
        (
            "Host b\n HostName 127.0.0.1\n Port {port}\n IdentityFile {home}/other\nHost a\n ProxyJump b\n",
            r"@127.0.0.1:\d+ refuses the user's keys .*; install one: ssh-copy-id b",
        ),
    ],
)
def test_the_failing_host_is_named(
    ssh_server: SshServer, ssh_home: Path, tmp_path: Path, config: str, sentence: str
) -> None:
    """The device or a jump host, with the reason of ssh and a remedy."""
    new_key(ssh_home / "other")
    ssh_server.write_home(ssh_home, config=config.format(port=ssh_server.port, home=ssh_home))
    with pytest.raises((BoardError, ConfigError), match=sentence):
        _echo("a", tmp_path)
