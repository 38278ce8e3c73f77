"""`train` on its own: one run that says of its data what a study's run says."""

import json
from pathlib import Path

import mlflow
import numpy as np
import pytest
from PIL import Image

from mlflow_nas import api
from mlflow_nas.errors import CandidateError
from mlflow_nas.search import trial as trial_module
from mlflow_nas.types import Latency


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A COCO folder of small noise; one of its images is no image."""
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 2)):
        images = [{"id": i, "file_name": f"{split}{i}.jpg", "width": 64, "height": 64} for i in range(count)]
        for image in images:
            pixels = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / str(image["file_name"]))
        content = {
            "images": images,
            "categories": [{"id": 1, "name": "person"}],
            "annotations": [
                {"id": image, "image_id": image, "category_id": 1, "bbox": [8, 8, 32, 40], "area": 1280}
                for image in range(count)
            ],
        }
        (tmp_path / f"{split}.json").write_text(json.dumps(content))
    (tmp_path / "images" / "train3.jpg").write_bytes(b"no photograph")
    return tmp_path


@pytest.mark.usefixtures("tracking_uri")
def test_its_run_names_both_splits_and_counts_what_was_skipped(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --on-bad-image skip; digest and links tell what it was trained and measured on."""
    monkeypatch.setenv("MLFLOW_NAS_HOME", str(tmp_path / "home"))
    small = {"channels": 24, "img_width": 220, "epochs": 1, "val_views": 1, "max_int8_drop": 1}
    trained = api.train(data=f"coco:{data}", on_bad_image="skip", board="fake", **small)
    run = mlflow.get_run(str(trained["run_id"]))
    assert run.data.tags["nas.skipped_images"] == "1"
    contexts = [tag.value for link in run.inputs.dataset_inputs for tag in link.tags]
    assert sorted(contexts) == ["training", "validation"]


@pytest.mark.usefixtures("tracking_uri")
@pytest.mark.parametrize(
    ("fault", "raised", "status"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt, "KILLED"),
        (RuntimeError("not enough memory"), CandidateError, "FAILED"),
    ],
)
def test_a_run_never_stays_open_and_its_training_is_kept(
    fault: BaseException,
    raised: type[BaseException],
    status: str,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same command goes on with what was trained, in a run of its own."""

    def fail(*_: object, **__: object) -> Latency:
        raise fault

    monkeypatch.setenv("MLFLOW_NAS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLFLOW_NAS_WORK", str(tmp_path / "work"))
    options = {"data": f"coco:{data}", "on_bad_image": "skip", "board": "fake", "epochs": 1, "val_views": 1}
    options |= {"channels": 24, "img_width": 220, "max_int8_drop": 1}
    with monkeypatch.context() as patch:
        patch.setattr(trial_module, "measure", fail)
        with pytest.raises(raised):
            api.train(**options)
    (run,) = mlflow.search_runs(output_format="list", search_all_experiments=True)
    assert (run.info.status, run.data.tags["nas.role"]) == (status, "trial")
    (kept,) = tmp_path.glob("work/**/training.ckpt")
    assert api.train(**options)["run_id"] != run.info.run_id
    assert not kept.exists()
