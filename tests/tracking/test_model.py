import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import onnx
import pytest
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import LoggedModel
from tflite_samples import write_detector
from tracking_samples import VALIDATION, history, runs_of, study_run, trial_result, trial_run

from mlflow_nas.tracking import Mirror, ModelFiles, connect, experiment_id, model_files

METRICS = {"map": 0.51, "map_50": 0.85}


def _files(path: Path, **changes: Any) -> ModelFiles:
    plain: dict[str, Any] = {
        "onnx": path,
        "key": "k3-c48",
        "model_type": "detection",
        "img_size": (32, 48),
        "classes": ("person",),
        "metrics": METRICS,
    }
    return ModelFiles(**{**plain, **changes})


@pytest.fixture
def log(client: MlflowClient, open_mirror: Callable[..., Mirror]) -> Callable[[ModelFiles], LoggedModel]:
    """Logs the model of an ended trial."""
    mirror = open_mirror()
    mirror.finish_trial(trial_run(), trial_result())

    def log_one(files: ModelFiles) -> LoggedModel:
        mirror.log_model(trial_run(), files)
        assert mirror.flush(30) == 0
        return client.get_logged_model(str(mirror.model_id(trial_run())))

    return log_one


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _stored(client: MlflowClient, model: LoggedModel, folder: Path) -> Path:
    uri = f"models:/{model.model_id}"
    return Path(download_artifacts(uri, dst_path=str(folder / "back"), tracking_uri=client.tracking_uri))


def test_what_ships_is_what_was_measured(
    client: MlflowClient, log: Callable[[ModelFiles], LoggedModel], int8_file: Path, tmp_path: Path
) -> None:
    """The stored file has the bytes of the measured one, which ONNX would have written differently."""
    assert onnx.load(int8_file).SerializeToString() != int8_file.read_bytes()
    golden = tmp_path / "golden.npz"
    golden.write_bytes(b"samples")
    model = log(_files(int8_file, golden=golden, input="uint8-nhwc-rgbx"))
    stored = _stored(client, model, tmp_path)
    assert _sha256(stored / "model.onnx") == _sha256(int8_file) == model.tags["nas.sha256"]
    assert (stored / "golden.npz").read_bytes() == b"samples"
    assert len(list(stored.glob("*.onnx"))) == 1
    assert not list(stored.glob("*.data"))
    example = json.loads((stored / "serving_input_example.json").read_text())
    assert np.shape(example["inputs"]["images"]) == (1, 32, 48, 4)


def test_the_model_belongs_to_its_trial(
    client: MlflowClient, log: Callable[[ModelFiles], LoggedModel], int8_file: Path
) -> None:
    """It is ready, has the architecture's key as its name, the run's params, and the run lists it."""
    model, run = log(_files(int8_file)), runs_of(client)["5eed/3"]
    assert (model.name, model.model_type, model.source_run_id) == ("k3-c48", "detection", run.info.run_id)
    assert (str(model.status), model.params) == ("READY", run.data.params)
    assert (model.tags["nas.key"], json.loads(model.tags["nas.classes"])) == ("k3-c48", ["person"])
    outputs = client.get_run(run.info.run_id).outputs
    assert outputs is not None
    assert [output.model_id for output in outputs.model_outputs] == [model.model_id]


def test_only_what_was_measured_on_the_data_is_attributed_to_them(
    client: MlflowClient, log: Callable[[ModelFiles], LoggedModel], int8_file: Path
) -> None:
    """The model holds the given metrics with the validation data; the run gets no second point."""
    model, run = log(_files(int8_file)), runs_of(client)["5eed/3"]
    assert {metric.key: metric.value for metric in model.metrics or []} == METRICS
    assert {(metric.dataset_name, metric.dataset_digest) for metric in model.metrics or []} == {
        ("penn-fudan", VALIDATION.digest[:36])
    }
    assert {len(points) for points in history(client, run).values()} == {1}


def test_a_key_with_characters_that_mlflow_refuses_names_the_model(
    log: Callable[[ModelFiles], LoggedModel], int8_file: Path
) -> None:
    """Dots and slashes become hyphens in the name, and stay in the tag."""
    model = log(_files(int8_file, key="r0.5/k3"))
    assert (model.name, model.tags["nas.key"]) == ("r0-5-k3", "r0.5/k3")


def test_the_model_runs_on_the_cpu_with_pinned_packages(
    client: MlflowClient,
    log: Callable[[ModelFiles], LoggedModel],
    int8_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """MLflow loads it, and nothing in it wants CUDA."""
    logged = log(_files(int8_file))
    monkeypatch.setattr(mlflow, "get_tracking_uri", lambda: client.tracking_uri)
    network = mlflow.onnx.load_model(f"models:/{logged.model_id}")
    assert [one.name for one in network.graph.input] == ["images"]
    described = mlflow.models.Model.load(f"models:/{logged.model_id}")
    assert described.flavors["onnx"]["providers"] == ["CPUExecutionProvider"]
    requirements = (_stored(client, logged, tmp_path) / "requirements.txt").read_text()
    assert f"numpy=={np.__version__}" in requirements


def test_the_same_file_is_logged_once(log: Callable[[ModelFiles], LoggedModel], int8_file: Path) -> None:
    """A second call gives the first one's model; another file makes another model."""
    first = log(_files(int8_file)).model_id
    assert log(_files(int8_file)).model_id == first
    int8_file.write_bytes(int8_file.read_bytes() + onnx.ModelProto(domain="x").SerializeToString())
    assert log(_files(int8_file)).model_id != first


def test_a_half_logged_model_is_finished(
    client: MlflowClient, open_mirror: Callable[..., Mirror], int8_file: Path
) -> None:
    """What a killed process left pending becomes the model, and no second one is made."""
    mirror = open_mirror()
    mirror.finish_trial(trial_run(), trial_result())
    mirror.flush(20)
    tags = {"nas.sha256": _sha256(int8_file), "nas.key": "k3-c48", "nas.classes": '["person"]'}
    run_id = str(mirror.run_id(trial_run()))
    pending = client.create_logged_model(mirror.experiment_id, name="k3-c48", source_run_id=run_id, tags=tags)
    assert mirror.model_id(trial_run()) is None
    mirror.log_model(trial_run(), _files(int8_file))
    mirror.flush(30)
    assert mirror.model_id(trial_run()) == pending.model_id
    assert len(client.search_logged_models([mirror.experiment_id])) == 1


def test_the_threads_own_run_and_store_are_used(
    client: MlflowClient,
    log: Callable[[ModelFiles], LoggedModel],
    int8_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A model goes to the trial's run and store, whatever the main thread has open."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'ambient.db'}")
    ambient = client.create_run(experiment_id(client, "ambient")).info.run_id
    model = log(_files(int8_file))
    assert model.source_run_id == runs_of(client)["5eed/3"].info.run_id
    assert mlflow.active_run() is None
    assert not client.get_run(ambient).data.metrics
    assert not (tmp_path / "ambient.db").exists()


@pytest.mark.services
def test_a_model_goes_through_a_server(
    mlflow_server: str, open_mirror: Callable[..., Mirror], int8_file: Path
) -> None:
    """Trial, data sets and model reach an MLflow server over HTTP as they reach a database."""
    mirror = open_mirror(study_run(experiment="models", uid="models"), tracking_uri=mlflow_server)
    mirror.start_trial(trial_run())
    mirror.finish_trial(trial_run(), trial_result())
    mirror.log_model(trial_run(), _files(int8_file))
    assert mirror.flush(60) == 0
    client = connect(mlflow_server)
    model = client.get_logged_model(str(mirror.model_id(trial_run())))
    assert str(model.status) == "READY"
    assert {metric.key: metric.dataset_name for metric in model.metrics or []} == dict.fromkeys(
        METRICS, "penn-fudan"
    )


def test_a_tflite_file_is_logged_byte_for_byte_with_its_companion(
    log: Callable[[ModelFiles], LoggedModel], tmp_path: Path
) -> None:
    """The python_function flavor opens it, or the file for processors beside it, and takes images."""
    host = write_detector(tmp_path / "host.tflite")
    file = write_detector(tmp_path / "model.int8.tflite", host="host.tflite")
    files = _files(file, companions=[host], img_size=(32, 32), input="int8-nhwc-rgb")
    model = log(files)
    assert model.tags["nas.sha256"] == _sha256(file)
    local = Path(download_artifacts(model.model_uri, dst_path=str(tmp_path / "down")))
    assert (local / "model.tflite").read_bytes() == file.read_bytes()
    assert (local / "host.tflite").read_bytes() == host.read_bytes()
    assert model_files(local) == [local / "model.tflite"]
    image = np.full((40, 60, 3), 200, np.uint8)
    (answer,) = mlflow.pyfunc.load_model(str(local)).predict([image], params={"threshold": 0.0})
    assert len(answer["boxes"]) == len(answer["scores"])
