"""Deployed models: after any failure on the device the old or the new version is active and intact."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from mlflow_nas.board import DeployedModels, FakeBoard
from mlflow_nas.board.runtime.signature import digest
from mlflow_nas.errors import BoardError, CandidateError, ConfigError
from mlflow_nas.types import Device

Model = Callable[[int], Path]

PROJECT = Path(__file__).parents[2]
STEPS = 60

# The device's process, forked for each step in a copy of its folder. At the step of that number it is
# killed, as by a power cut: before a call that changes something on the disk, before or after a command.
KILLED = """
import io, os, shutil, signal, subprocess, sys
sys.path.insert(0, sys.argv[1])
import onnxruntime
from mlflow_nas.board.runtime import dispatch, install, store

def device(left, command, options):
    def step():
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
    def deadly(function):
        def call(*args, **options):
            step()
            return function(*args, **options)
        return call
    for name in ("open", "replace", "fsync", "unlink", "mkdir", "rmdir"):
        setattr(os, name, deadly(getattr(os, name)))
    class Popen(subprocess.Popen):
        def __init__(self, *args, **options):
            step()
            super().__init__(*args, **options)
            self.wait(60)
            step()
    subprocess.Popen = Popen
    os._exit(dispatch.main([command, options], io.StringIO()))

for step in range(int(sys.argv[2])):
    root = f"{sys.argv[3]}-{step}"
    shutil.copytree(sys.argv[3], root)
    child = os.fork()
    if child == 0:
        device(step, sys.argv[4], sys.argv[5].replace(sys.argv[3], root))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(root, code, flush=True)
    if code != -signal.SIGKILL:
        break
"""


def _board(root: Path, **fields: Any) -> FakeBoard:
    return FakeBoard(root, device=Device(name="fake", transport="fake", directory=str(root), **fields))


def _active(root: Path, name: str = "person") -> dict[str, Any]:
    """The active manifest, with checked hashes of its file and of the previous one's."""
    manifest: dict[str, Any] = json.loads((root / f"deployed/{name}/manifest.json").read_text("utf-8"))
    for entry in (manifest, manifest["previous"]):
        if entry:
            file = root / f"deployed/{name}/models/{entry['sha256']}.onnx"
            assert sha256(file.read_bytes()).hexdigest() == entry["sha256"]
    return manifest


def _installer(models: DeployedModels, model: Path) -> Callable[[str], object]:
    return lambda name: models.install(name, model, {})


def _options(root: Path, activate: list[str]) -> dict[str, Any]:
    """Options of a switch."""
    return {
        "root": str(root / "deployed"),
        "name": "person",
        "lock": {"path": str(root / "lock"), "holder": "test", "wait_s": 0},
        "activation": {"activate": activate, "health": activate, "activate_s": 9, "health_s": 9},
    }


def _killed(root: Path, command: str, options: Mapping[str, Any]) -> list[Path]:
    """The device's folder after a kill at the command's first step, its second, ... until it finishes."""
    argv = [sys.executable, "-c", KILLED, str(PROJECT), str(STEPS), str(root), command, json.dumps(options)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    folders, codes = zip(*(line.split() for line in done.stdout.splitlines()), strict=True)
    assert codes[-1] == "0", f"the command never finished: {codes}"
    return [Path(folder) for folder in folders]


@pytest.mark.parametrize(("activate", "steps"), [([], 12), (["true"], 20)], ids=["plain", "activated"])
def test_kill_at_any_step_of_an_install_leaves_old_or_new(
    tmp_path: Path, make_model: Model, activate: list[str], steps: int
) -> None:
    """Kill -9 at each step in turn: the active file is intact, and the next install succeeds."""
    root, new = tmp_path / "device", make_model(6)
    DeployedModels(_board(root)).install("person", make_model(5), {"version": "old"})
    (root / "staged.onnx").write_bytes(new.read_bytes())
    options = _options(root, activate)
    hashed = sha256(new.read_bytes()).hexdigest()
    options |= {"file": {"path": f"{root}/staged.onnx", "sha256": hashed, "max_bytes": None}}
    manifest: dict[str, Any] = {"version": "new"}
    options |= {"session": {"threads": 1}, "manifest": manifest}
    options |= {"seal": {"digest": digest(manifest), "signature": None}}
    after = _killed(root, "install", options)
    seen = [_active(folder)["version"] for folder in after]
    assert len(after) > steps
    assert seen == sorted(seen, reverse=True), "once new, it stays new"
    assert set(seen) == {"old", "new"}
    for folder in after:
        DeployedModels(_board(folder)).install("person", new, {"version": "new"})
        assert _active(folder)["version"] == "new"
        assert DeployedModels(_board(folder)).rollback("person")["version"] == "old"


def test_kill_at_any_step_of_a_rollback_leaves_old_or_new(tmp_path: Path, make_model: Model) -> None:
    """The same for a rollback."""
    root = tmp_path / "device"
    models = DeployedModels(_board(root))
    models.install("person", make_model(5), {"version": "old"})
    models.install("person", make_model(6), {"version": "new"})
    after = _killed(root, "rollback", _options(root, ["true"]))
    seen = [_active(folder)["version"] for folder in after]
    assert len(after) > 12
    assert seen == sorted(seen), "once old, it stays old"
    assert set(seen) == {"old", "new"}


def test_kill_at_any_step_of_a_delete_leaves_all_or_nothing(tmp_path: Path, make_model: Model) -> None:
    """Without its manifest a deployment does not exist: the same call removes the rest."""
    root = tmp_path / "device"
    DeployedModels(_board(root)).install("person", make_model(5), {"version": "old"})
    options = _options(root, [])
    del options["activation"]
    after = _killed(root, "delete", options)
    assert len(after) > 4
    for folder in after:
        models = DeployedModels(_board(folder))
        active = models.find("person")
        assert active is None or active.intact
        models.delete("person")
        assert not (folder / "deployed/person").exists()


def test_an_unconfirmed_version_is_no_target_of_a_rollback(tmp_path: Path, make_model: Model) -> None:
    """After a power cut between switch and health check the fallback is the confirmed version."""
    board = _board(tmp_path)
    models = DeployedModels(board)
    models.install("person", make_model(5), {"version": "good"})
    models.install("person", make_model(6), {"version": "cut"})
    path = tmp_path / "deployed/person/manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "confirmed": False}), "utf-8")
    models.install("person", make_model(7), {"version": "next"})
    assert models.rollback("person")["version"] == "good"


def test_a_damaged_active_file_is_not_kept_as_previous(tmp_path: Path, make_model: Model) -> None:
    """It is detected, and the version before it stays the fallback."""
    models = DeployedModels(_board(tmp_path))
    models.install("person", make_model(5), {"version": "good"})
    manifest = models.install("person", make_model(6), {"version": "damaged"})
    (tmp_path / f"deployed/person/models/{manifest['sha256']}.onnx").write_bytes(b"bits fell over")
    active = models.find("person")
    assert active is not None
    assert not active.intact
    assert models.install("person", make_model(7), {"version": "next"})["previous"]["version"] == "good"


def test_a_damaged_previous_file_refuses_the_rollback(tmp_path: Path, make_model: Model) -> None:
    """The active version stays."""
    models = DeployedModels(_board(tmp_path))
    first = models.install("person", make_model(5), {"version": "1"})
    models.install("person", make_model(6), {"version": "2"})
    (tmp_path / f"deployed/person/models/{first['sha256']}.onnx").write_bytes(b"bits fell over")
    with pytest.raises(BoardError, match=r"has sha256 .* it is damaged, deploy it again"):
        models.rollback("person")
    assert models.get("person").manifest["version"] == "2"


def test_a_refused_model_leaves_the_active_version(tmp_path: Path, make_model: Model) -> None:
    """A file that onnxruntime can't load is never installed."""
    models = DeployedModels(_board(tmp_path / "device"))
    models.install("person", make_model(5), {"version": "1"})
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    with pytest.raises(CandidateError, match="refuses the model"):
        models.install("person", broken, {"version": "2"})
    active = models.get("person")
    assert (active.manifest["version"], active.intact) == ("1", True)


def test_a_second_delete_removes_nothing(tmp_path: Path, make_model: Model) -> None:
    """It is no error, and nothing is active."""
    models = DeployedModels(_board(tmp_path))
    models.install("person", make_model(5), {})
    assert [models.delete("person"), models.delete("person")] == [True, False]
    assert models.find("person") is None


def test_activate_gets_the_new_model(tmp_path: Path, make_model: Model) -> None:
    """Its environment has deployment, version and the active file."""
    log = tmp_path / "log"
    command = (
        "sh",
        "-c",
        f'cat "$MLFLOW_NAS_MODEL" | sha256sum >> {log}; echo $MLFLOW_NAS_VERSION >> {log}',
    )
    models = DeployedModels(_board(tmp_path / "device", activate=command))
    manifest = models.install("person", make_model(5), {"version": "7"})
    assert log.read_text("utf-8").split() == [manifest["sha256"], "-", "7"]
    assert manifest["confirmed"]


@pytest.mark.parametrize(
    ("commands", "sentence"),
    [
        ({"activate": ("sh", "-c", "echo no camera; exit 3")}, r"activate \(sh .*code 3: no camera"),
        ({"health": ("false",)}, r"health \(false\) failed with code 1: no output, repeatedly for 0.3 s"),
        ({"activate": ("/nowhere/restart",)}, r"code 127: .*/nowhere/restart"),
        ({"health": ("sleep", "60")}, "did not end within 0.[23]"),
    ],
)
def test_a_failing_command_restores_the_old_version(
    tmp_path: Path, make_model: Model, commands: dict[str, tuple[str, ...]], sentence: str
) -> None:
    """It is active again and intact, and its file and the old fallback still exist."""
    plain = DeployedModels(_board(tmp_path))
    plain.install("person", make_model(4), {"version": "0"})
    before = plain.install("person", make_model(5), {"version": "1"})
    strict = DeployedModels(_board(tmp_path, **commands), health_s=0.3)
    with pytest.raises(BoardError, match=sentence) as refused:
        strict.install("person", make_model(6), {"version": "2"})
    assert "Version 1 is active again" in str(refused.value)
    assert _active(tmp_path) == before
    assert len(list((tmp_path / "deployed/person/models").iterdir())) == 2
    assert sorted(path.name for path in (tmp_path / "deployed/person").iterdir()) == [
        "manifest.json",
        "models",
    ]


def test_a_failing_first_version_leaves_nothing_active(tmp_path: Path, make_model: Model) -> None:
    """There is no old version to restore."""
    models = DeployedModels(_board(tmp_path, activate=("false",)))
    with pytest.raises(BoardError, match="Nothing is active under person, as before"):
        models.install("person", make_model(5), {"version": "1"})
    assert models.find("person") is None


def test_activate_runs_again_for_the_restored_version(tmp_path: Path, make_model: Model) -> None:
    """With the old version's file."""
    DeployedModels(_board(tmp_path)).install("person", make_model(5), {"version": "1"})
    log = tmp_path / "log"
    command = ("sh", "-c", f"echo $MLFLOW_NAS_VERSION >> {log}; test $MLFLOW_NAS_VERSION = 1")
    models = DeployedModels(_board(tmp_path, activate=command))
    with pytest.raises(BoardError):
        models.install("person", make_model(6), {"version": "2"})
    assert log.read_text("utf-8").split() == ["2", "1"]


def test_health_is_repeated(tmp_path: Path, make_model: Model) -> None:
    """Until it succeeds."""
    up = tmp_path / "up"
    command = ("sh", "-c", f"test -e {up} || {{ touch {up}; exit 1; }}")
    assert DeployedModels(_board(tmp_path, health=command)).install("person", make_model(5), {})["confirmed"]


def test_a_background_service_does_not_block_the_deployment(tmp_path: Path, make_model: Model) -> None:
    """A process that `activate` starts may keep its output open."""
    models = DeployedModels(
        _board(tmp_path, activate=("sh", "-c", "sleep 5 & echo $! > " + f"{tmp_path}/pid"))
    )
    assert models.install("person", make_model(5), {})["confirmed"]
    assert (tmp_path / "pid").exists()


def test_a_restore_needs_no_disk_space(full_disk: Path, make_model: Model) -> None:
    """With a full disk after the switch the old version is active again."""
    DeployedModels(_board(full_disk)).install("person", make_model(5), {"version": "1"})
    command = ("sh", "-c", f"dd if=/dev/zero of={full_disk}/fill bs=1k 2>/dev/null; false")
    with pytest.raises(BoardError, match="Version 1 is active again"):
        DeployedModels(_board(full_disk, activate=command)).install("person", make_model(6), {"version": "2"})
    assert _active(full_disk)["version"] == "1"


def test_a_full_disk_before_the_switch_changes_nothing(full_disk: Path, make_model: Model) -> None:
    """The old version stays, and half-written files are removed."""
    models = DeployedModels(_board(full_disk))
    before = models.install("person", make_model(5), {"version": "1"})
    staged = full_disk / "staged.onnx"
    staged.write_bytes(make_model(6).read_bytes())
    hashed = sha256(staged.read_bytes()).hexdigest()
    (full_disk / "fill").write_bytes(bytes(os.statvfs(full_disk).f_bavail * os.statvfs(full_disk).f_frsize))
    with pytest.raises(BoardError, match="No space left on device"):
        models.install_remote("person", str(staged), {}, sha256=hashed)
    assert _active(full_disk) == before
    assert len(list((full_disk / "deployed/person/models").iterdir())) == 1


def test_uploads_of_dead_hosts_are_removed_after_a_day(tmp_path: Path, make_model: Model) -> None:
    """They would fill the device; today's may still be in use."""
    uploads = [tmp_path / "staging/old/0-model.onnx", tmp_path / "staging/new/0-model.onnx"]
    uploads += [tmp_path / "incoming/old.part", tmp_path / "incoming/new.part"]
    for path in uploads:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half a model")
    for path in (uploads[0].parent, uploads[2]):
        os.utime(path, (0, 0))
    DeployedModels(_board(tmp_path)).install("person", make_model(5), {"version": "1"})
    assert [path.exists() for path in uploads] == [False, True, False, True]


def test_concurrent_deployments_do_not_overwrite_each_other(tmp_path: Path, make_model: Model) -> None:
    """The second one fails: the active version is not the expected one."""
    models = DeployedModels(_board(tmp_path))
    models.install("person", make_model(5), {"version": "1"})
    staged = tmp_path / "staged.onnx"
    staged.write_bytes(make_model(6).read_bytes())
    hashed = sha256(staged.read_bytes()).hexdigest()
    with pytest.raises(BoardError, match="was changed by another deployment meanwhile"):
        models.install_remote("person", str(staged), {}, sha256=hashed, replaces=None)
    assert models.get("person").manifest["version"] == "1"


def test_a_damaged_upload_is_refused(tmp_path: Path, make_model: Model) -> None:
    """The device computes the hash itself."""
    staged = tmp_path / "staged.onnx"
    staged.write_bytes(make_model(6).read_bytes())
    with pytest.raises(BoardError, match=r"has sha256 .*, not 0000"):
        DeployedModels(_board(tmp_path)).install_remote("person", str(staged), {}, sha256="0" * 64)


def test_a_model_over_the_size_limit_is_refused_by_the_device(tmp_path: Path, make_model: Model) -> None:
    """Value and bound."""
    models = DeployedModels(_board(tmp_path, max_model_bytes=100))
    with pytest.raises(ConfigError, match=r"has \d+ bytes, the device's max_model_bytes is 100"):
        models.install("person", make_model(5), {})


@pytest.mark.parametrize("name", ["../outside", "..", ".", "", "a/b", "/etc", "-rf", "a\n", "a" * 101, "ä"])
def test_a_name_outside_of_the_folder_is_refused(tmp_path: Path, make_model: Model, name: str) -> None:
    """By every command with a name."""
    models = DeployedModels(_board(tmp_path / "device"))
    for call in (models.find, models.delete, models.rollback, _installer(models, make_model(6))):
        with pytest.raises(ConfigError, match="is refused: use letters"):
            call(name)
    assert not list((tmp_path / "device").glob("deployed*"))


@pytest.mark.parametrize("link", ["person", "person/models", "person/manifest.json"])
def test_a_symbolic_link_in_the_store_is_refused(tmp_path: Path, make_model: Model, link: str) -> None:
    """Its target is neither read nor written nor removed."""
    outside = tmp_path / "outside"
    models = DeployedModels(_board(tmp_path / "device"))
    models.install("person", make_model(5), {"version": "1"})
    place = tmp_path / "device/deployed" / link
    place.rename(outside)
    place.symlink_to(outside)
    content = sorted(outside.rglob("*")) or outside.read_bytes()
    for call in (models.find, models.delete, models.rollback, _installer(models, make_model(6))):
        with pytest.raises(BoardError, match="is a symbolic link: remove it"):
            call("person")
    (listed,) = models.list()
    assert listed["name"] == "person"
    assert "is a symbolic link: remove it" in listed["refused"]
    assert (sorted(outside.rglob("*")) or outside.read_bytes()) == content


def test_a_rollback_to_a_linked_file_is_refused(tmp_path: Path, make_model: Model) -> None:
    """The hash of its target can change after the check."""
    models = DeployedModels(_board(tmp_path / "device"))
    first = models.install("person", make_model(5), {"version": "1"})
    models.install("person", make_model(6), {"version": "2"})
    file = tmp_path / f"device/deployed/person/models/{first['sha256']}.onnx"
    file.rename(tmp_path / "elsewhere.onnx")
    file.symlink_to(tmp_path / "elsewhere.onnx")
    with pytest.raises(BoardError, match="is a symbolic link"):
        models.rollback("person")


def test_links_in_place_of_new_manifests_are_not_followed(tmp_path: Path, make_model: Model) -> None:
    """Their target keeps its content."""
    models = DeployedModels(_board(tmp_path / "device"))
    models.install("person", make_model(5), {"version": "1"})
    precious = tmp_path / "precious"
    precious.write_text("mine", encoding="utf-8")
    for suffix in ("new", "confirmed", "before"):
        (tmp_path / f"device/deployed/person/manifest.json.{suffix}").symlink_to(precious)
    assert models.install("person", make_model(6), {"version": "2"})["version"] == "2"
    assert precious.read_text("utf-8") == "mine"


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"schema": 2}, ConfigError, "has schema 2, this mlflow_nas reads up to 1: upgrade mlflow_nas"),
        (
            {"sha256": "../../../etc/passwd"},
            BoardError,
            "names the file '../../../etc/passwd': delete person",
        ),
        ({"sha256": None}, BoardError, "names the file 'None'"),
        ("{", BoardError, r"is damaged .*: delete person, deploy it again"),
        ("[]", BoardError, "is damaged"),
    ],
)
def test_an_invalid_manifest_is_refused(
    tmp_path: Path, make_model: Model, change: Any, error: type[Exception], sentence: str
) -> None:
    """One of a later schema, or a damaged one: nothing is changed, delete works."""
    models = DeployedModels(_board(tmp_path))
    models.install("person", make_model(5), {"version": "1"})
    path = tmp_path / "deployed/person/manifest.json"
    found = json.loads(path.read_text("utf-8"))
    text = change if isinstance(change, str) else json.dumps({**found, **change})
    path.write_text(text, encoding="utf-8")
    for call in (models.find, models.rollback, _installer(models, make_model(6))):
        with pytest.raises(error, match=sentence):
            call("person")
    assert path.read_text("utf-8") == text
    models.install("truck", make_model(5), {"version": "1"})
    assert [list(listed) == ["name", "refused"] for listed in models.list()] == [True, False]
    assert models.delete("person")
