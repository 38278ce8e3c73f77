import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import numpy as np
import onnx
import pytest
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts

from mlflow_nas.tracking import LoggedInt8, connect, finish_trial, log_int8_model, open_study, start_trial
from mlflow_nas.types import Evaluation

METRICS = {"map": 0.51, "latency_ms": 4.25}


@pytest.fixture
def trial(client: MlflowClient, experiment: str) -> str:
    """The run of an ended trial."""
    study = open_study(client, experiment_id=experiment, study="pf", tags={}, params={})
    run_id = start_trial(
        client,
        experiment_id=experiment,
        parent_id=study,
        study="pf",
        number=0,
        role="baseline",
        name="k3",
        tags={},
    )
    done = Evaluation(number=0, key="k3", architecture={"kernel_size": 3}, state="complete", metrics=METRICS)
    finish_trial(client, run_id, done)
    return run_id


def _log(
    client: MlflowClient, run_id: str, path: Path, dataset: Any, golden: Path | None = None
) -> LoggedInt8:
    return log_int8_model(
        client,
        run_id,
        path,
        key="k3",
        img_size=(32, 48),
        classes=("person",),
        metrics=METRICS,
        dataset=dataset,
        golden=golden,
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_ships_is_what_was_measured(
    client: MlflowClient,
    tracking_uri: str,
    trial: str,
    int8_file: Path,
    photographs: SimpleNamespace,
    tmp_path: Path,
) -> None:
    """The stored file has the bytes of the measured one, which ONNX would have written differently."""
    assert onnx.load(int8_file).SerializeToString() != int8_file.read_bytes()
    logged = _log(client, trial, int8_file, photographs)
    stored = Path(download_artifacts(logged.uri, dst_path=str(tmp_path / "back"), tracking_uri=tracking_uri))
    assert _sha256(stored / "model.onnx") == _sha256(int8_file)
    assert client.get_logged_model(logged.model_id).tags["nas.sha256"] == _sha256(int8_file)
    assert not list(stored.glob("*.data"))


def test_golden_samples_are_stored_beside_the_network(
    client: MlflowClient,
    tracking_uri: str,
    trial: str,
    int8_file: Path,
    photographs: SimpleNamespace,
    tmp_path: Path,
) -> None:
    """Whoever downloads the model has them, under their own name, and still one ONNX file."""
    golden = tmp_path / "golden.npz"
    golden.write_bytes(b"samples")
    logged = _log(client, trial, int8_file, photographs, golden)
    stored = Path(download_artifacts(logged.uri, dst_path=str(tmp_path / "back"), tracking_uri=tracking_uri))
    assert (stored / "golden.npz").read_bytes() == b"samples"
    assert len(list(stored.glob("*.onnx"))) == 1


def test_the_model_belongs_to_the_given_run(
    client: MlflowClient, trial: str, int8_file: Path, photographs: SimpleNamespace
) -> None:
    """It is ready, named int8, has the run's params, and the run lists it."""
    logged = _log(client, trial, int8_file, photographs)
    model = client.get_logged_model(logged.model_id)
    assert (model.name, model.source_run_id, str(model.status)) == ("int8", trial, "READY")
    assert model.params == {"arch.kernel_size": "3"}
    assert (model.tags["nas.key"], json.loads(model.tags["nas.classes"])) == ("k3", ["person"])
    assert logged.uri == f"models:/{logged.model_id}"
    outputs = client.get_run(trial).outputs
    assert outputs is not None
    assert [output.model_id for output in outputs.model_outputs] == [logged.model_id]


def test_metrics_are_linked_to_model_and_data(
    client: MlflowClient, trial: str, int8_file: Path, photographs: SimpleNamespace
) -> None:
    """The model holds them with the data set; the run keeps its own and gets no second point."""
    logged = _log(client, trial, int8_file, photographs)
    linked = client.get_logged_model(logged.model_id).metrics
    assert linked is not None
    assert {metric.key: metric.value for metric in linked} == METRICS
    assert {(metric.dataset_name, metric.dataset_digest) for metric in linked} == {
        ("penn-fudan", "0123456789ab")
    }
    run = client.get_run(trial)
    assert run.data.metrics == METRICS
    assert len(client.get_metric_history(trial, "map")) == 1
    assert [entry.dataset.name for entry in run.inputs.dataset_inputs] == ["penn-fudan"]


def test_the_model_runs_on_the_cpu_with_pinned_packages(
    client: MlflowClient,
    tracking_uri: str,
    trial: str,
    int8_file: Path,
    photographs: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """MLflow loads it, its signature names images [1, 3, H, W], and nothing in it wants CUDA."""
    logged = _log(client, trial, int8_file, photographs)
    monkeypatch.setattr(mlflow, "get_tracking_uri", lambda: tracking_uri)
    model = mlflow.pyfunc.load_model(logged.uri)
    images = np.random.default_rng(0).random((1, 3, 32, 48), dtype=np.float32)
    expected = images.reshape(1, 3, 2, 16, 3, 16).mean(axis=(3, 5))
    assert model.predict({"images": images})["detections"] == pytest.approx(expected, abs=1e-6)
    inputs = model.metadata.signature.inputs
    assert [(spec.name, spec.shape) for spec in inputs] == [("images", (1, 3, 32, 48))]
    assert model.metadata.flavors["onnx"]["providers"] == ["CPUExecutionProvider"]
    assert model.metadata.saved_input_example_info["type"] == "ndarray"
    folder = Path(download_artifacts(logged.uri, tracking_uri=tracking_uri))
    assert f"numpy=={np.__version__}" in (folder / "requirements.txt").read_text()


def test_the_same_file_is_logged_once(
    client: MlflowClient, trial: str, int8_file: Path, photographs: SimpleNamespace
) -> None:
    """A second call gives the first one's model; another file makes another model."""
    first = _log(client, trial, int8_file, photographs)
    assert _log(client, trial, int8_file, photographs) == first
    int8_file.write_bytes(int8_file.read_bytes() + onnx.ModelProto(domain="x").SerializeToString())
    assert _log(client, trial, int8_file, photographs) != first


def test_a_half_logged_model_is_logged_again(
    client: MlflowClient, experiment: str, trial: str, int8_file: Path, photographs: SimpleNamespace
) -> None:
    """A model that a killed process left pending is not taken for the real one."""
    tags = {"nas.sha256": _sha256(int8_file)}
    pending = client.create_logged_model(experiment, name="int8", source_run_id=trial, tags=tags)
    assert _log(client, trial, int8_file, photographs).model_id != pending.model_id


def test_a_second_thread_opens_no_run_of_its_own(
    client: MlflowClient,
    experiment: str,
    tracking_uri: str,
    trial: str,
    int8_file: Path,
    photographs: SimpleNamespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A model logged from a thread goes to the given run and store, whatever the main thread has open."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'ambient.db'}")
    elsewhere = connect(tracking_uri)
    ambient = elsewhere.create_run(experiment).info.run_id
    before = {run.info.run_id for run in client.search_runs([experiment])}
    with ThreadPoolExecutor(max_workers=1) as pool:
        logged = pool.submit(_log, client, trial, int8_file, photographs).result()
    assert {run.info.run_id for run in client.search_runs([experiment])} == before
    assert client.get_logged_model(logged.model_id).source_run_id == trial
    assert mlflow.active_run() is None
    assert not client.get_run(ambient).data.metrics
    assert not (tmp_path / "ambient.db").exists()
