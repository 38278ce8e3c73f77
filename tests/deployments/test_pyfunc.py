"""The python_function flavor of a logged model: images in, answers out."""

import base64
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import Model
from numpy.typing import NDArray
from onnx import TensorProto, helper, save
from PIL import Image

from mlflow_nas.deployments.pyfunc import ImageModel
from mlflow_nas.errors import ConfigError
from mlflow_nas.tracking import ModelFiles, connect, log_command, log_model, model_content

CLASSES = ("red", "green", "blue")
PIXELS = np.full((20, 30, 3), (10, 200, 10), np.uint8)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier whose logits are the mean colours, times ten."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["pixels"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Mul", ["flat", "ten"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor("ten", TensorProto.FLOAT, [], [10.0])],
    )
    path = tmp_path_factory.mktemp("file") / "model.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture
def logged(file: Path, tracking_uri: str) -> str:
    """The URI of the file as a logged model."""
    client = connect(tracking_uri)
    experiment = client.create_experiment("pyfunc")
    run_id = log_command(
        client,
        experiment_id=experiment,
        run_id=None,
        name="own",
        role="trial",
        metrics={"top1": 1.0},
        tags={},
    )
    files = ModelFiles(
        onnx=file,
        key="own",
        model_type="classification",
        img_size=(8, 8),
        names=("pixels", "logits"),
        dims=2,
        classes=CLASSES,
        metrics={"top1": 1.0},
    )
    return f"models:/{log_model(client, run_id, model_content(files), [file], dataset=None)}"


def _encoded(pixels: NDArray[np.uint8]) -> bytes:
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, "PNG")
    return packed.getvalue()


def _png() -> bytes:
    return _encoded(PIXELS)


def test_mlflow_loads_it_and_takes_images_in_every_form(logged: str, tmp_path: Path) -> None:
    """A path, base64, an array, a table; the threshold is a parameter; the onnx flavor is there as before."""
    path, text = tmp_path / "a.png", base64.b64encode(_png()).decode()
    path.write_bytes(_png())
    model = mlflow.pyfunc.load_model(logged)
    forms: list[Any] = [
        *(str(path), [str(path)], text, PIXELS, PIXELS[None], [PIXELS], {"image": [text]}, np.array([text])),
        *(
            pd.DataFrame({name: [image]})
            for name, image in (("image", PIXELS), ("image", text), ("any", text))
        ),
    ]
    answers = [model.predict(form) for form in forms]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0][0]["classes"] == ["green"]
    everything = model.predict(PIXELS, params={"threshold": 0.0})
    assert sorted(everything[0]["classes"]) == sorted(CLASSES)
    session = mlflow.onnx.load_model(logged)
    assert session.graph.input[0].name == "pixels"


def test_the_files_own_tensor_gives_its_output(file: Path) -> None:
    """As the onnx flavor's pyfunc does it."""
    tensor: NDArray[np.float32] = np.ones((1, 3, 8, 8), np.float32)
    assert ImageModel(file).predict({"pixels": tensor})["logits"] == pytest.approx(10 * np.ones((1, 3)))
    with pytest.raises(ConfigError, match="ONNX Runtime can't run the model file"):
        ImageModel(file).predict({"pixels": tensor[:, :1]})


def test_the_model_says_what_it_needs(logged: str) -> None:
    """No schema of inputs, as MLflow would refuse most forms of images by it."""
    described = Model.load(logged)
    assert described.flavors["python_function"]["loader_module"] == "mlflow_nas.deployments.pyfunc"
    assert described.flavors["onnx"]["data"] == "model.onnx"
    (threshold,) = described.signature.params.params
    assert (threshold.name, threshold.default) == ("threshold", 0.3)


@pytest.mark.slow  # starts MLflow's command line
def test_mlflow_models_predict_prints_answers(logged: str, tracking_uri: str, tmp_path: Path) -> None:
    """From a JSON table of paths."""
    (tmp_path / "a.png").write_bytes(_png())
    table = {"dataframe_split": {"columns": ["image"], "data": [[str(tmp_path / "a.png")]]}}
    (tmp_path / "in.json").write_text(json.dumps(table))
    command = [sys.executable, "-m", "mlflow", "models", "predict", "-m", logged, "--env-manager", "local"]
    done = subprocess.run(
        [*command, "-i", str(tmp_path / "in.json"), "-t", "json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MLFLOW_TRACKING_URI": tracking_uri},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["predictions"][0]["classes"] == ["green"]


@pytest.mark.slow  # starts MLflow's scoring server
def test_mlflow_models_serve_answers_requests(logged: str, tracking_uri: str) -> None:
    """An image as base64 in, the answer out; the threshold is a parameter of the request."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", logged, "--env-manager", "local"]
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # as an activated environment
    environment = {**os.environ, "MLFLOW_TRACKING_URI": tracking_uri, "PATH": programs}
    server = subprocess.Popen(
        [*command, "-p", url.rpartition(":")[2]], env=environment, start_new_session=True
    )
    try:
        _wait_until_it_answers(f"{url}/ping", server)
        table = {"columns": ["image"], "data": [[base64.b64encode(_png()).decode()]]}
        request = urllib.request.Request(  # noqa: S310 - this machine's
            f"{url}/invocations",
            json.dumps({"dataframe_split": table, "params": {"threshold": 0.0}}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - this machine's
            (answer,) = json.load(response)["predictions"]
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)
    assert answer["classes"][0] == "green"
    assert sorted(answer["classes"]) == sorted(CLASSES)


def _wait_until_it_answers(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while True:
        assert server.poll() is None, "the server ended"
        assert time.monotonic() < deadline, "the server does not answer"
        try:
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 - this machine's
        except OSError:
            time.sleep(0.5)
        else:
            return


@pytest.mark.slow  # imports MLflow's evaluators
def test_mlflow_evaluates_the_model_on_a_table(logged: str) -> None:
    """Its answers' first classes against labels, by MLflow's own metrics."""
    model = mlflow.pyfunc.load_model(logged)
    colours = {"red": (200, 10, 10), "green": (10, 200, 10), "blue": (10, 10, 200)}
    images = [np.full((8, 8, 3), colour, np.uint8) for colour in colours.values()]
    texts = [base64.b64encode(_encoded(image)).decode() for image in images]
    table = pd.DataFrame({"image": [*texts, texts[0]], "label": [*colours, "blue"]})

    def classify(images: pd.DataFrame) -> list[str]:
        return [answer["classes"][0] for answer in model.predict(images, params={"threshold": 0.0})]

    with mlflow.start_run():
        result = mlflow.models.evaluate(
            classify,
            table,
            targets="label",
            model_type="classifier",
            evaluators=["default"],
            evaluator_config={"default": {"log_model_explainability": False}},
        )
    assert result.metrics["accuracy_score"] == pytest.approx(0.75)
