"""A version's manifest: what an application needs, its hash and its signature."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlflow_nas.board import DeployedModels, get_board
from mlflow_nas.board.runtime.failure import Failure
from mlflow_nas.board.runtime.signature import digest, verify_manifest
from mlflow_nas.config import find_device
from mlflow_nas.deployments import Options, deploy
from mlflow_nas.deployments.manifest import sign
from mlflow_nas.errors import ConfigError
from mlflow_nas.networks import Layout
from mlflow_nas.tasks import DETECTION

ADDED = ("schema", "name", "seal", "previous", "confirmed")
"""What the device adds to a manifest."""

FORCED = Options(force=True)
URI = "models:/person-detector@champion"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SSH key without a passphrase."""
    return _key(tmp_path_factory.mktemp("keys") / "id")


def _key(path: Path) -> Path:
    keygen = str(shutil.which("ssh-keygen"))
    subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def _allow(folder: Path, key: Path) -> None:
    """Have the device accept manifests that the key has signed."""
    folder.mkdir(parents=True, exist_ok=True)
    public = key.with_suffix(".pub").read_text(encoding="utf-8")
    (folder / "allowed_signers").write_text(f"mlflow-nas {public}", encoding="utf-8")


def test_the_manifest_says_how_the_file_is_run(client: Any, inventory: Callable[..., None]) -> None:
    """Input, resize rule, output, decoding, thresholds, classes, runtime, options, versions, hash."""
    inventory(gate={"threads": 2})
    made = deploy(client, URI, device="gate", options=FORCED)
    assert made["input"] == {
        "contract": "float-nchw",
        "layout": "NCHW",
        "dtype": "float32",
        "colour": "RGB",
        "range": [0, 1],
        "size": [32, 48],
        "resize": made["input"]["resize"],
    }
    assert made["output"]["channels"][:5] == ["objectness", "tx", "ty", "tw", "th"]
    assert (made["output"]["score_threshold"], made["output"]["iou_threshold"]) == (0.3, 0.45)
    assert made["classes"] == ["person"]
    assert (made["runtime"], made["session"]["threads"]) == ("onnxruntime", 2)
    assert made["session"]["execution_mode"] == "ORT_SEQUENTIAL"
    assert made["versions"].keys() == {"onnxruntime", "numpy", "python"}
    sent = {name: made[name] for name in made if name not in ADDED}
    assert made["seal"] == {"digest": digest(sent), "signature": None}


def test_a_device_with_signers_accepts_their_manifests_only(
    client: Any, inventory: Callable[..., None], key: Path, tmp_path: Path
) -> None:
    """Unsigned and changed ones are refused before the switch, with the remedy."""
    folder = tmp_path / "gate"
    inventory(gate={}, signing={"directory": str(folder), "signing_key": str(key)})
    _allow(folder, key)
    with pytest.raises(ConfigError, match=r"accepts signed manifests only .*signing_key\. Nothing is active"):
        deploy(client, URI, device="gate", options=FORCED)
    made = deploy(client, URI, device="signing", options=FORCED)
    assert "BEGIN SSH SIGNATURE" in made["seal"]["signature"]
    assert DeployedModels(get_board(find_device("gate"))).get("person-detector").intact


def test_another_keys_signature_is_refused(key: Path, tmp_path: Path) -> None:
    """The sentence names the file of the keys that count."""
    other = _key(tmp_path / "other")
    _allow(tmp_path, key)
    manifest = {"version": "1", "sha256": "aa"}
    seal = {"digest": digest(manifest), "signature": sign(manifest, other)}
    with pytest.raises(Failure, match=r"signature is refused: .*; sign with a key of .*allowed_signers"):
        verify_manifest(str(tmp_path / "deployed"), manifest, "aa", seal)
    good = {**seal, "signature": sign(manifest, key)}
    verify_manifest(str(tmp_path / "deployed"), manifest, "aa", good)


@pytest.mark.parametrize(
    ("changed", "sha256", "sentence"),
    [
        ({"version": "2"}, "aa", "the manifest has sha256 .*, not .*: deploy again"),
        ({}, "bb", "the manifest belongs to the file aa, not to bb"),
    ],
)
def test_a_changed_manifest_is_refused(
    changed: dict[str, str], sha256: str, sentence: str, tmp_path: Path
) -> None:
    """Also where no signature is asked for."""
    manifest = {"version": "1", "sha256": "aa"}
    seal = {"digest": digest(manifest)}
    with pytest.raises(Failure, match=sentence):
        verify_manifest(str(tmp_path / "deployed"), manifest | changed, sha256, seal)


def test_a_key_that_cant_sign_is_named(tmp_path: Path) -> None:
    """With ssh-keygen's reason and the remedy."""
    (tmp_path / "no-key").write_text("nothing", encoding="utf-8")
    (tmp_path / "no-key").chmod(0o600)
    with pytest.raises(ConfigError, match=r"can't be signed with .*no-key: .*Fix signing_key"):
        sign({"version": "1"}, tmp_path / "no-key")


@pytest.mark.parametrize(("classes", "channels", "score"), [(1, 5, "^0.6"), (3, 8, "^0.6 * class^0.4")])
def test_one_class_has_no_channel(classes: int, channels: int, score: str) -> None:
    """Its score is the objectness alone."""
    found = DETECTION.describe_output(Layout("cells", classes), threshold=0.3)
    assert len(found["channels"]) == channels  # type: ignore[arg-type]
    assert found["score"] == f"objectness{score}"
