"""`train`: one architecture, one run, continued by the same command."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow.entities import Run
from PIL import Image
from user_folder import SMALL, UserFolder

from mlflow_nas import api
from mlflow_nas.errors import CandidateError, ConfigError
from mlflow_nas.types import TrialResult

ARCH = {"arch": "c8-k1-w64"}

DIVERGING = """
from tiny_space import TinyDetector

from mlflow_nas.space import Parameter, SearchSpace


class Diverging(TinyDetector):
    def loss(self, images, targets):
        return super().loss(images, targets) * float("nan")


SPACE = SearchSpace(
    name="diverging",
    parameters={"kind": Parameter(short="k", values=("only",))},
    baseline={"kind": "only"},
    build=lambda *_: Diverging(channels=8, kernel_size=1),
    img_width=64,
)
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A COCO folder of small noise; one of its images is no image."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 2)):
        images = [{"id": i, "file_name": f"{split}{i}.jpg", "width": 64, "height": 64} for i in range(count)]
        for image in images:
            pixels = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "images" / str(image["file_name"]))
        content = {
            "images": images,
            "categories": [{"id": 1, "name": "person"}],
            "annotations": [
                {"id": image, "image_id": image, "category_id": 1, "bbox": [8, 8, 32, 40], "area": 1280}
                for image in range(count)
            ],
        }
        (folder / f"{split}.json").write_text(json.dumps(content))
    (folder / "images" / "train3.jpg").write_bytes(b"no image")
    return f"coco:{folder}"


def _train(folder: UserFolder, data: str, **options: Any) -> TrialResult:
    skip = {"data": data, "data.on_bad_image": "skip", "data.eval_augmentations": 1}
    with folder.entered():
        return api.train(**{**SMALL, **ARCH, **skip, **options})


@pytest.fixture(scope="module")
def trained(user_folder: UserFolder, data: str) -> TrialResult:
    """One training."""
    return _train(user_folder, data)


def _run(folder: UserFolder, result: TrialResult) -> Run:
    return folder.client.get_run(str(result.run_id))


def test_one_training_is_exactly_one_run(user_folder: UserFolder, trained: TrialResult) -> None:
    """Finished, with the architecture, the metrics and the curve."""
    (run,) = user_folder.runs()
    assert (run.info.run_id, run.info.status) == (trained.run_id, "FINISHED")
    assert run.data.params.items() >= {"arch.channels": "8", "arch.img_width": "64"}.items()
    assert run.data.metrics.keys() >= {"map", "map_50", "map_fp32", "latency_raw_ms", "epoch/train_loss"}
    assert (trained.state, trained.role, trained.number) == ("complete", "trial", None)


def test_its_run_names_both_splits_and_counts_what_was_skipped(
    user_folder: UserFolder, trained: TrialResult
) -> None:
    """What was trained and measured on stands in links and a digest."""
    run = _run(user_folder, trained)
    assert run.data.tags["nas.skipped_images"] == "1"
    contexts = [tag.value for link in run.inputs.dataset_inputs for tag in link.tags]
    assert sorted(contexts) == ["training", "validation"]


def test_the_same_command_computes_nothing_and_logs_a_run(
    user_folder: UserFolder, trained: TrialResult, data: str
) -> None:
    """What the step cache holds is the result of this one, too."""
    before = user_folder.cached()
    again = _train(user_folder, data)
    assert user_folder.cached() == before
    assert again.run_id != trained.run_id
    assert _run(user_folder, again).data.metrics["map"] == _run(user_folder, trained).data.metrics["map"]


class _Interrupting:
    """A listener that ends the training in an epoch, as Ctrl-C does."""

    def step(self, name: str) -> None:
        """Nothing."""

    def epoch(self, number: int, metrics: Mapping[str, float]) -> None:  # noqa: ARG002 - of the protocol
        """Interrupt the second one."""
        if number == 2:
            raise KeyboardInterrupt


def test_an_interrupted_training_ends_killed_and_is_continued(user_folder: UserFolder, data: str) -> None:
    """By the same command, in a run of its own, from the last epoch."""
    options = {"epochs": 3, "arch": "c8-k3-w64"}
    with pytest.raises(KeyboardInterrupt):
        _train(user_folder, data, **options, listener=_Interrupting())
    killed = user_folder.runs()[-1]
    assert (killed.info.status, killed.data.tags["nas.role"]) == ("KILLED", "trial")
    kept = list((user_folder.path / "work/cache/train").glob("*.unfinished/checkpoint/*.ckpt"))
    assert [path.name for path in kept] == ["epoch=0.ckpt"]
    result = _train(user_folder, data, **options)
    assert result.run_id != killed.info.run_id
    assert result.metrics["epochs"] == 3
    assert not list((user_folder.path / "work/cache/train").glob("*.unfinished"))


def test_a_training_that_diverges_fails_its_run(user_folder: UserFolder, data: str) -> None:
    """The sentence is raised and stands in the run."""
    file = user_folder.path / "diverging.py"
    file.write_text(DIVERGING, encoding="utf-8")
    with pytest.raises(CandidateError, match=r"^The training loss became nan in epoch 0: lower the learning"):
        _train(user_folder, data, space=f"{file}:SPACE", arch="")
    run = user_folder.runs()[-1]
    assert run.info.status == "FAILED"
    assert run.data.tags["nas.error"].startswith("CandidateError: The training loss became nan")


@pytest.mark.parametrize(
    ("arch", "sentence"),
    [
        ("channels=9", "channels=9 is not in the space"),
        ("c8-k1", "c8-k1"),
        ("groups=2", "no parameter 'groups'"),
    ],
)
def test_an_architecture_outside_the_space_is_refused(
    arch: str, sentence: str, user_folder: UserFolder, data: str
) -> None:
    """It is the user's mistake, and leaves no run."""
    before = len(user_folder.runs())
    with pytest.raises(ConfigError, match=sentence):
        _train(user_folder, data, arch=arch)
    assert len(user_folder.runs()) == before


def test_what_is_left_out_of_an_architecture_is_the_baselines(user_folder: UserFolder, data: str) -> None:
    """Choices by name."""
    result = _train(user_folder, data, arch="kernel_size=1,img_width=64")
    assert result.key == "c24-k1-w64"


def test_a_configuration_is_not_mixed_with_keywords(tmp_path: Path) -> None:
    """One or the other."""
    from mlflow_nas.config import TrainConfig

    with pytest.raises(ConfigError, match="TrainConfig and epochs are given"):
        api.train(TrainConfig(), epochs=1)
    assert not list(tmp_path.iterdir())
