"""The inventory of devices: what it says, what it refuses, where it is looked for."""

from pathlib import Path

import pytest

from mlflow_nas.config import find_device, find_group, load_devices
from mlflow_nas.errors import ConfigError

FULL = """
devices:
  imx93:
    transport: ssh
    host: board.lan
    user: nas
    port: 2222
    key_file: /keys/imx93
    directory: ~/nas
    python: chroot /srv/root python3
    threads: 2
    cpu_affinity: [0, 1]
    providers: [XnnpackExecutionProvider: {intra_op_num_threads: 2}, CPUExecutionProvider]
    environment: {OMP_NUM_THREADS: 2, VERBOSE: true}
    latency_limit_ms: 20
    max_model_bytes: 4000000
    activate: systemctl restart "vision app"
    health: [systemctl, is-active, vision]
    groups: [gates, north]
  pi5:
    transport: ssh
    host: pi5
    groups: [gates]
"""

AT_HOME = """
devices:
  pi5: {transport: ssh, host: pi5, python: ~/nas/bin/python -X utf8}
  desk: {transport: local, python: ~/nas/bin/python}
"""


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """Two devices behind ssh."""
    file = tmp_path / "inventory.yaml"
    file.write_text(FULL, encoding="utf-8")
    return file


def test_a_python_below_the_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~` is this machine's home for a local device; a command over SSH starts in its own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "inventory.yaml"
    file.write_text(AT_HOME, encoding="utf-8")
    assert find_device("pi5", file).python == ("nas/bin/python", "-X", "utf8")
    assert find_device("desk", file).python == (f"{tmp_path}/nas/bin/python",)


def test_a_record_holds_what_the_file_says(inventory: Path) -> None:
    """Commands become words, numbers become text where options and variables want text."""
    found = find_device("imx93", inventory)
    assert (found.host, found.user, found.port, found.key_file) == (
        "board.lan",
        "nas",
        2222,
        Path("/keys/imx93"),
    )
    assert (found.directory, found.python) == ("nas", ("chroot", "/srv/root", "python3"))
    assert (found.threads, found.cpu_affinity) == (2, (0, 1))
    assert found.providers == (
        ("XnnpackExecutionProvider", {"intra_op_num_threads": "2"}),
        ("CPUExecutionProvider", {}),
    )
    assert found.environment == {"OMP_NUM_THREADS": "2", "VERBOSE": "true"}
    assert (found.latency_limit_ms, found.max_model_bytes) == (20.0, 4_000_000)
    assert found.activate == ("systemctl", "restart", "vision app")
    assert found.health == ("systemctl", "is-active", "vision")


def test_little_need_be_said(inventory: Path) -> None:
    """Host and transport are enough; ~/.ssh/config knows the rest."""
    found = find_device("pi5", inventory)
    assert (found.user, found.port, found.python, found.directory) == (None, None, ("python3",), "mlflow_nas")
    assert (found.threads, found.providers, found.emulated) == (1, (("CPUExecutionProvider", {}),), False)


def test_a_group_keeps_the_order_of_the_file(inventory: Path) -> None:
    """Groups roll out one device after the other."""
    assert [device.name for device in find_group("gates", inventory)] == ["imx93", "pi5"]
    with pytest.raises(
        ConfigError, match="no device is in the group 'south'; the known groups are gates, north"
    ):
        find_group("south", inventory)


def test_local_and_fake_always_exist(
    inventory: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With and without a file; their folders are below MLFLOW_NAS_HOME."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_NAS_HOME", str(tmp_path))
    assert list(load_devices()) == ["local", "fake"]
    assert list(load_devices(inventory)) == ["local", "fake", "imx93", "pi5"]
    assert find_device("local").directory == str(tmp_path / "devices/local")


def test_local_may_be_given_limits(tmp_path: Path) -> None:
    """An entry of the name replaces the built-in record."""
    file = tmp_path / "devices.yaml"
    file.write_text("devices: {local: {transport: local, latency_limit_ms: 5, directory: /srv/nas}}")
    found = find_device("local", file)
    assert (found.latency_limit_ms, found.directory) == (5, "/srv/nas")


def test_the_file_is_named_by_option_variable_or_place(
    inventory: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The option goes before MLFLOW_NAS_DEVICES, which goes before ./devices.yaml."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "devices.yaml").write_text("devices: {here: {transport: local}}")
    assert "here" in load_devices()
    other = tmp_path / "other.yaml"
    other.write_text("devices: {other: {transport: fake}}")
    monkeypatch.setenv("MLFLOW_NAS_DEVICES", str(other))
    assert "other" in load_devices()
    assert "imx93" in load_devices(inventory)


def test_unknown_device_lists_the_known_ones(inventory: Path) -> None:
    """A wrong name is the user's fault and names the right ones."""
    with pytest.raises(ConfigError, match="'nano' is unknown; the known devices are fake, imx93, local, pi5"):
        find_device("nano", inventory)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "devices: {a: {transport: ssh, host: b, thread: 2}}",
            r"devices\.a\.thread is an unknown key: did you mean threads\?",
        ),
        ("devices: {}\nboards: {}", r"boards is an unknown key: known are devices"),
        ("devices: {a: {transport: ssh}}", "transport ssh needs a host"),
        ("devices: {a: {transport: local, port: 22}}", "port is for transport ssh"),
        (
            "devices: {a: {transport: adb}}",
            r"devices\.a\.transport = 'adb': Input should be 'local', 'ssh' or 'fake'",
        ),
        ("devices: {a: {transport: local, threads: 0}}", "greater than or equal to 1"),
        ("devices: {../a: {transport: local}}", "String should match pattern"),
        ("devices: {local: {transport: fake}}", "the device local has transport local; choose another name"),
        ("devices: {a: {transport: ssh, host: -oProxyCommand=x}}", r"devices\.a\.host"),
        ("devices: {a: {transport: local, environment: {'A;B': c}}}", "environment"),
        ("devices: {a: {transport: local, providers: [CPU]}}", "providers"),
        ("devices: {a: {transport: local, runtime: vela}}", "runtime vela needs one, such as ethos-u65-256"),
        ("devices: {a: {transport: local, accelerator: ethos-u65-256}}", "no other runtime has one"),
        ("devices: {a: {transport: local, runtime: vela, accelerator: ethos-u65-7}}", "accelerator"),
        ("- 1", "must hold 'devices:'"),
        ("devices: [", "is not YAML"),
    ],
)
def test_a_bad_inventory_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    """The sentence names the file, the place in it, the value and its bound."""
    file = tmp_path / "devices.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=sentence) as refused:
        load_devices(file)
    assert str(file) in str(refused.value)


def test_a_missing_inventory_is_refused(tmp_path: Path) -> None:
    """A file that was named must be there."""
    with pytest.raises(ConfigError, match=r"can't be read: No such file.*--devices or MLFLOW_NAS_DEVICES"):
        load_devices(tmp_path / "nowhere.yaml")


def test_a_device_names_its_runtime_and_a_delegate(tmp_path: Path) -> None:
    """A delegate without options may be a path; the library that runs the models follows from both."""
    file = tmp_path / "devices.yaml"
    file.write_text(
        "devices:\n"
        "  imx93: {transport: local, runtime: vela, accelerator: ethos-u65-256, delegate: /usr/lib/npu.so}\n"
        "  imx8: {transport: local, runtime: litert, delegate: {/usr/lib/vx.so: {cache: /srv/c}}}\n"
        "  pi: {transport: local, runtime: litert}\n"
    )
    found = load_devices(file)
    assert found["imx93"].delegate == ("/usr/lib/npu.so", {})
    assert found["imx93"].accelerator == "ethos-u65-256"
    assert found["imx8"].delegate == ("/usr/lib/vx.so", {"cache": "/srv/c"})
    assert {name: found[name].library for name in ("imx93", "imx8", "pi", "local")} == {
        "imx93": "litert",
        "imx8": "litert",
        "pi": "litert",
        "local": "onnxruntime",
    }


def test_an_estimate_needs_no_inventory() -> None:
    """`vela:ACCELERATOR` is a board without a device; another accelerator is refused."""
    found = find_device("vela:ethos-u55-128")
    assert (found.transport, found.runtime, found.accelerator) == ("none", "vela", "ethos-u55-128")
    with pytest.raises(ConfigError, match="'ethos-u65' is no accelerator that Vela knows: write vela:ethos"):
        find_device("vela:ethos-u65")
