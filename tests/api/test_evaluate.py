"""What `evaluate` opens, measures and refuses."""

import json
import re
from pathlib import Path
from typing import Any

import mlflow
import onnx
import pytest
from click.testing import CliRunner
from mlflow import MlflowClient

from mlflow_nas import api
from mlflow_nas.cli import main
from mlflow_nas.config import DataSection, EvaluateConfig
from mlflow_nas.data import calibration_images, load_dataset
from mlflow_nas.errors import ConfigError, RegistryError
from mlflow_nas.export import export_onnx, quantize_int8
from mlflow_nas.space import build_detector, fastestdet_head, load_seed_weights, save_weights
from mlflow_nas.tracking import Mirror, ModelFiles, StudyRun, TrialRun

DATA = "synthetic:train=4,val=4,size=128"
SMALL = {"kernel_size": 3, "groups": 1, "channels": 24, "img_width": 220}
SIZE = (96, 96)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One small untrained detector as a state dict, a float file and an int8 file."""
    folder = tmp_path_factory.mktemp("detector")
    network = build_detector(SMALL, num_classes=1, seed=0).eval()
    metadata = {"mlflow_nas.classes": '["person"]'}
    fp32 = export_onnx(network, folder / "fp32.onnx", img_size=SIZE, metadata=metadata)
    images = calibration_images(load_dataset(DATA), img_size=SIZE, count=4, seed=0)
    return {
        "weights": save_weights(network, folder / "weights.pth"),
        "fp32": fp32,
        "int8": quantize_int8(fp32, folder / "int8.onnx", calibration=images),
    }


def _open_size(source: Path, target: Path) -> Path:
    """A copy of a file that leaves batch, height and width open and names no classes."""
    model = onnx.load(source)
    del model.metadata_props[:]
    del model.graph.value_info[:]
    for value, names in ((model.graph.input[0], "bchw"), (model.graph.output[0], "bcuv")):
        for axis in (0, 2, 3):
            value.type.tensor_type.shape.dim[axis].dim_param = names[axis]
    onnx.save(model, target)
    return target


def _evaluate(**options: Any) -> dict[str, Any]:
    return api.evaluate(**{"data": DATA, **options}).as_json()


@pytest.mark.parametrize(("width", "map_50", "map_"), [(352, 0.911, 0.598)])
def test_the_published_detector_by_command(
    penn_fudan: Path, fastestdet_weights: Path, width: int, map_50: float, map_: float
) -> None:
    """One JSON object with the published figures of penn-fudan and what they were measured on."""
    words = ["--weights", str(fastestdet_weights), "--data", f"coco:{penn_fudan}", "--img-width", str(width)]
    done = CliRunner().invoke(main, ["evaluate", *words, "--json"])
    assert done.exit_code == 0, (done.exception, done.stderr)
    found = json.loads(done.stdout)
    assert found["map_50"] == pytest.approx(map_50, abs=3e-3)
    assert found["map"] == pytest.approx(map_, abs=3e-3)
    assert (found["images"], found["boxes"], found["ignored"]) == (50, 131, 0)
    assert (found["img_size"], found["classes"], found["precision"]) == ([352, 352], ["person"], "fp32")


def test_words_name_detector_data_and_figures(files: dict[str, Path]) -> None:
    """Without --json a person reads the same."""
    words = ["--onnx", str(files["int8"]), "--data", DATA, "--split", "train"]
    done = CliRunner().invoke(main, ["evaluate", *words])
    assert f"(int8, 96 x 96 px) on {DATA}, train: 4 images" in done.stdout
    assert re.search(r"^map 0\.\d{3}  map_50 0\.\d{3}$", done.stdout, re.MULTILINE)


def test_a_state_dict_and_its_float_file_are_measured_alike(files: dict[str, Path]) -> None:
    """The architecture is said by its key, the size by the width."""
    options = {"weights": str(files["weights"]), "arch": "k3-g1-c24-w220", "img_width": 96}
    by_torch, by_onnx = _evaluate(**options), _evaluate(onnx=str(files["fp32"]))
    assert by_torch["map"] == pytest.approx(by_onnx["map"], abs=1e-3)
    assert by_torch["map_50"] == pytest.approx(by_onnx["map_50"], abs=1e-3)
    assert by_torch["dataset"] == by_onnx["dataset"]


def test_a_file_of_all_classes_is_measured_on_those_asked_for(
    penn_fudan: Path, fastestdet_weights: Path, tmp_path: Path
) -> None:
    """One that names no classes has those of COCO, and finds people as its state dict does."""
    network = build_detector(fastestdet_head().baseline, num_classes=80, seed=0).eval()
    load_seed_weights(fastestdet_weights).fill(network)
    file = export_onnx(network, tmp_path / "coco.onnx", img_size=(352, 352), metadata={})
    options: dict[str, Any] = {"data": f"coco:{penn_fudan}", "classes": ("person",)}
    by_onnx = _evaluate(onnx=str(file), **options)
    by_torch = _evaluate(weights=str(save_weights(network, tmp_path / "coco.pth")), img_width=352, **options)
    assert by_torch["map"] > 0.5
    assert by_onnx["map"] == pytest.approx(by_torch["map"], abs=1e-3)
    assert by_onnx["map_50"] == pytest.approx(by_torch["map_50"], abs=1e-3)
    assert by_onnx["classes"] == by_torch["classes"] == ["person"]


def test_a_foreign_file_of_open_size_is_measured_at_the_width_asked_for(
    files: dict[str, Path], tmp_path: Path
) -> None:
    """It names neither classes nor size; without a size the sentence asks for it."""
    foreign = _open_size(files["fp32"], tmp_path / "foreign.onnx")
    found = _evaluate(onnx=str(foreign), img_width=96)
    assert found["map"] == _evaluate(onnx=str(files["fp32"]))["map"]
    assert found["precision"] == "fp32"
    with pytest.raises(ConfigError, match=r"takes images of any size .*give --img-width"):
        _evaluate(onnx=str(foreign))


def test_the_test_split_is_measured_when_asked_for(files: dict[str, Path]) -> None:
    """A share of val, or the data's own; without one the sentence says how to get it."""
    whole = _evaluate(onnx=str(files["int8"]))
    share = {"data.test_fraction": 0.5, "data": "synthetic:val=12,size=128"}
    parts = [_evaluate(onnx=str(files["int8"]), split=split, **share) for split in ("val", "test")]
    assert sum(part["images"] for part in parts) == 12
    assert len({part["dataset"] for part in (*parts, whole)}) == 3
    with pytest.raises(
        ConfigError, match=r"has no test split: take one from val with --set data\.test_fraction"
    ):
        _evaluate(onnx=str(files["int8"]), split="test")


def test_a_searchs_file_is_measured_as_the_search_measured_it(files: dict[str, Path], tmp_path: Path) -> None:
    """On as many augmented copies of val, unless the user sets another number; another file on val alone."""
    model = onnx.load(files["int8"])
    model.metadata_props.add(key="mlflow_nas.eval_augmentations", value="3")
    onnx.save(model, tmp_path / "searched.onnx")
    searched, foreign = str(tmp_path / "searched.onnx"), str(files["int8"])
    found = [
        _evaluate(onnx=file, **options)
        for file, options in ((searched, {}), (foreign, {"data.eval_augmentations": 3}), (foreign, {}))
    ]
    assert [(one["images"], one["eval_augmentations"]) for one in found] == [(12, 3), (12, 3), (4, 1)]
    assert found[0]["map"] == found[1]["map"]
    assert found[0]["dataset"] == found[1]["dataset"] != found[2]["dataset"]
    assert _evaluate(onnx=searched, set="data.eval_augmentations=1")["dataset"] == found[2]["dataset"]
    assert _evaluate(onnx=searched, split="train")["images"] == 4
    done = CliRunner().invoke(main, ["evaluate", "--onnx", searched, "--data", DATA])
    assert f"on {DATA}, val: 12 images (each 3 times, augmented), " in done.stdout


@pytest.mark.parametrize("metadata", ["no json", "[1]", '"person"', "[" * 10_000])
def test_unreadable_metadata_is_one_sentence(files: dict[str, Path], tmp_path: Path, metadata: str) -> None:
    """A file that carries our names with other content."""
    model = onnx.load(files["int8"])
    kept = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, {**kept, "mlflow_nas.classes": metadata})
    onnx.save(model, tmp_path / "odd.onnx")
    with pytest.raises(ConfigError, match=r"odd\.onnx has unreadable metadata"):
        _evaluate(onnx=str(tmp_path / "odd.onnx"))


def test_a_configuration_does_what_keywords_do(files: dict[str, Path]) -> None:
    """And is not mixed with them."""
    settings = EvaluateConfig(onnx=files["int8"], data=DataSection(uri=DATA))
    result = api.evaluate(settings)
    assert result.metrics["map"] == _evaluate(onnx=str(files["int8"]))["map"]
    assert (result.images, result.img_size, result.precision) == (4, SIZE, "int8")
    with pytest.raises(ConfigError, match="EvaluateConfig and split are given"):
        api.evaluate(settings, split="train")


@pytest.fixture
def logged(files: dict[str, Path], tracking_uri: str, tmp_path: Path) -> str:
    """The URI of a trial's logged model, which is registered as `small`."""
    study = StudyRun(experiment="models", study="small", uid="5eed", params={})
    trial = TrialRun(uid="0", name="0-small", role="trial", number=0, key="small", architecture=SMALL)
    mirror = Mirror(tracking_uri=tracking_uri, folder=tmp_path / "outbox", study=study, objectives=("map",))
    try:
        mirror.start_study()
        mirror.start_trial(trial)
        mirror.log_model(
            trial,
            ModelFiles(
                onnx=files["int8"],
                key="small",
                model_type="detection",
                img_size=SIZE,
                classes=("person",),
                metrics={},
            ),
        )
        assert mirror.flush(30) == 0
        run_id, model_id = mirror.run_id(trial), mirror.model_id(trial)
    finally:
        mirror.close()
    client = MlflowClient(tracking_uri)
    client.create_registered_model("small")
    source = f"models:/{model_id}"
    version = client.create_model_version("small", source, run_id, model_id=model_id)
    client.set_registered_model_alias("small", "champion", version.version)
    return source


def test_a_model_of_mlflow_is_measured(files: dict[str, Path], logged: str) -> None:
    """By name (its champion), version, alias or the logged model's own URI."""
    expected = _evaluate(onnx=str(files["int8"]))
    for uri in ("small", "models:/small/1", "models:/small@champion", logged):
        found = _evaluate(model=uri)
        assert (found["map"], found["precision"], found["detector"]) == (expected["map"], "int8", uri)


def test_a_project_run_holds_the_measurement(
    files: dict[str, Path], tracking_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`mlflow run -e evaluate` leaves map, map_50 and the data's digest in its run."""
    client = MlflowClient(tracking_uri)
    run_id = client.create_run("0").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    found = _evaluate(onnx=str(files["int8"]))
    data = client.get_run(run_id).data
    assert data.metrics == {name: found[name] for name in ("map", "map_50")}
    assert data.tags["nas.split_digest"] == found["dataset"]
    assert data.tags["nas.split"] == "val"
    assert mlflow.active_run() is None


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, r"No detector given: name exactly one with --weights, --model, --onnx"),
        ({"weights": "a.pth", "onnx": "b.onnx"}, r"--weights and --onnx given: name exactly one"),
        ({"onnx": "{int8}", "img_width": 128}, r"takes images of 96 x 96 pixels, 128 x 128 was asked for"),
        ({"onnx": "{int8}", "classes": "dog"}, r"detects 1 classes, and 'dog' is none of them.*person"),
        ({"weights": "{weights}"}, r"are not those of this architecture: size mismatch .*Give the --arch"),
        ({"onnx": "missing.onnx"}, r"can't read the model file missing.onnx"),
    ],
)
def test_a_mistake_is_one_sentence(files: dict[str, Path], options: dict[str, str], sentence: str) -> None:
    """It says what was given, what is possible and what to do."""
    filled = {
        name: value.format(**files) if isinstance(value, str) else value for name, value in options.items()
    }
    with pytest.raises(ConfigError, match=sentence):
        _evaluate(**filled)


@pytest.mark.usefixtures("tracking_uri")
def test_a_model_that_is_not_there_is_the_registrys_error() -> None:
    """The sentence says what could not be done."""
    with pytest.raises(RegistryError, match="could not find the model version"):
        _evaluate(model="nobody")
