"""A user who has an ONNX file and trains nothing: evaluate, profile, register, deploy."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from foreign_space import Classifier
from mlflow import MlflowClient
from onnxruntime.quantization import CalibrationDataReader, quantize_static

from mlflow_nas import api
from mlflow_nas.errors import ConfigError

SIZE = 48


class _Noise(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime is untyped
    """Two random images."""

    def __init__(self) -> None:
        self._left = iter(np.random.default_rng(0).random((2, 1, 3, SIZE, SIZE), dtype=np.float32))

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next, or None."""
        image = next(self._left, None)
        return None if image is None else {"pixels": image}


class _Boxes(torch.nn.Module):
    """Gives 36 boxes of one class, with scores of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 8, 8), torch.nn.ReLU(), torch.nn.Conv2d(4, 1, 1)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[b, 3, 48, 48] -> [b, 36, 5]."""
        scores = self.scores(images).flatten(2).transpose(1, 2).sigmoid()
        return torch.cat([torch.tensor([0.2, 0.2, 0.8, 0.8]).expand(len(images), 36, 4), scores], dim=2)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An int8 detector by torch's exporter and ONNX Runtime's quantizer: names of its own, no metadata."""
    folder = tmp_path_factory.mktemp("own")
    torch.manual_seed(0)
    program = torch.onnx.export(
        _Boxes().eval(), (torch.zeros(1, 3, SIZE, SIZE),), dynamo=True, verbose=False,
        input_names=["pixels"], output_names=["found"],
    )  # fmt: skip
    assert program is not None
    onnx.save(program.model_proto, folder / "float.onnx")
    quantize_static(folder / "float.onnx", folder / "own.onnx", _Noise())
    return folder / "own.onnx"


def test_a_file_from_elsewhere_is_evaluated_registered_and_deployed(
    file: Path, tracking_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is: the version's bytes are the file's, its signature has the file's names."""
    monkeypatch.setenv("MLFLOW_NAS_HOME", str(tmp_path / "home"))
    data = "synthetic:train=4,val=4,size=96"
    assert api.evaluate(onnx=file, data=data).metrics.keys() == {"map", "map_50"}
    assert "int8" in str(api.profile(model=file, board="fake").as_json())
    made = api.register(file=file, data=data, board="fake", model="own")
    version = MlflowClient(tracking_uri).get_model_version("own", made.version)
    assert (
        version.tags.items()
        >= {"nas.task": "detection", "nas.accuracy": "map", "nas.precision": "int8"}.items()
    )
    deployed = api.deploy(model=f"models:/own/{made.version}", device="fake", force=True)
    assert deployed.manifest["sha256"] == version.tags["nas.sha256"]
    assert deployed.manifest["output"]["layout"] == "[1, n, 4 + classes]"


def test_a_classifier_file_is_not_evaluated_on_boxes(tmp_path: Path) -> None:
    """A file's output says its task; the data must be of that task."""
    from mlflow_nas.export import export_onnx

    network = Classifier(2, width=4).eval()
    path = export_onnx(network, tmp_path / "c.onnx", img_size=(SIZE, SIZE), metadata={}, output="logits")
    with pytest.raises(ConfigError, match=r"c\.onnx detects 2 classes, and 'person' is none of them"):
        api.evaluate(onnx=path, data="synthetic:train=4,val=4,size=96")
