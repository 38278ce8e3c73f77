"""Any ONNX detector as a version, measured as a search measures its own."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from mlflow_nas import api
from mlflow_nas.data import calibration_images, load_dataset
from mlflow_nas.export import export_onnx, quantize_int8
from mlflow_nas.space import build_detector

DATA = "synthetic:train=4,val=4,size=128"
SIZE = (96, 96)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small untrained detector as a float file and as an int8 file."""
    folder = tmp_path_factory.mktemp("files")
    network = build_detector({"kernel_size": 3, "groups": 1, "channels": 24, "img_width": 220}, num_classes=1)
    fp32 = export_onnx(network.eval(), folder / "fp32.onnx", img_size=SIZE, metadata={})
    images = calibration_images(load_dataset(DATA), img_size=SIZE, count=2, seed=0)
    return {"fp32": fp32, "int8": quantize_int8(fp32, folder / "int8.onnx", calibration=images)}


@pytest.mark.slow  # a search comes first
def test_a_file_is_measured_against_the_registered_reference_and_can_be_deployed(
    files: dict[str, Path], tracking_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reference holds no alias; a float file is a version that takes part in no front."""
    monkeypatch.setenv("MLFLOW_NAS_HOME", str(tmp_path / "home"))
    options = {"data": DATA, "board": "fake", "model": "own"}
    given = api.register(file=files["int8"], role="reference", **options)
    assert (given.version, given.precision, given.metrics["speedup"]) == ("1", "int8", 1.0)
    again = api.register(file=files["int8"], **options)
    assert again.metrics["latency_ms"] == pytest.approx(given.metrics["latency_ms"], rel=0.1)
    floating = api.register(file=files["fp32"], **options)
    assert floating.notes == (f"{files['fp32']} is fp32: it takes part in no front.",)
    client = MlflowClient(tracking_uri)
    versions = {one.version: one for one in client.search_model_versions("name='own'")}
    tags = [versions[version].tags for version in sorted(versions)]
    assert len({(one["nas.board"], one["nas.dataset"], one["nas.protocol"]) for one in tags}) == 1
    assert versions[sorted(versions)[0]].description.startswith("The reference: ")
    assert 1 not in client.get_registered_model("own").aliases.values()
    made = api.deploy(model="models:/own/2", device="fake", force=True)
    assert made.manifest["version"] == "2"
