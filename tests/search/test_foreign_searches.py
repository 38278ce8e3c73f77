"""A search of a network that is no FastestDet, to the device."""

import re
import shutil

import numpy as np
import pytest
from class_images import write_class_folders
from foreign_space import CLASSIFIER, DETECTOR
from mlflow.deployments import get_deploy_client
from user_folder import UserFolder

from mlflow_nas.api import SearchResult
from mlflow_nas.errors import ConfigError
from mlflow_nas.trial import file_digest

OPTIONS = {"space": DETECTOR, "data": "synthetic:train=8,val=4,size=96", "data.eval_augmentations": 1}


@pytest.fixture(scope="module")
def searched(user_folder: UserFolder) -> SearchResult:
    """Two trials."""
    return user_folder.search(**OPTIONS, trials=2, study="foreign", model="foreign")


def test_a_foreign_detector_is_searched_registered_and_deployed(
    user_folder: UserFolder, searched: SearchResult
) -> None:
    """All trials are complete, nothing else was trained, and the device has a champion."""
    assert [(one.state, one.error) for one in searched.trials] == [("complete", None)] * 2
    assert not user_folder.runs("seed")
    assert searched.registry is not None
    version = searched.registry["aliases"]["champion"]
    assert searched.deployed is not None
    assert searched.deployed["version"] == str(version)
    tags = user_folder.client.get_model_version("foreign", str(version)).tags
    assert tags.items() >= {"nas.task": "detection", "nas.accuracy": "map", "nas.space": "foreign"}.items()


def test_the_deployed_foreign_detector_answers(user_folder: UserFolder, searched: SearchResult) -> None:
    """Boxes in pixels of the image, by nothing but the file; the manifest says how it is decoded."""
    assert searched.deployed is not None
    assert searched.deployed["output"]["boxes"] == "x1, y1, x2, y2, relative to the image"
    image = np.random.default_rng(0).integers(0, 255, (50, 70, 3), dtype=np.uint8)
    with user_folder.entered():
        client = get_deploy_client("nas-edge://fake")
        (found,) = client.predict(searched.deployed["name"], image)["predictions"]
    assert found.keys() == {"boxes", "scores", "classes"}


def test_a_file_is_what_an_own_network_is_compared_with(
    user_folder: UserFolder, searched: SearchResult
) -> None:
    """Measured once beside its float file; page and registry have its row, finalists the interval to it."""
    file = user_folder.path / "mine.onnx"
    shutil.copyfile(searched.trials[0].artefacts["fp32"], file)
    data = "synthetic:train=8,val=4,test=3,size=96"
    options = {**OPTIONS, "data": data, "trials": 1, "study": "against-a-file", "device": "none"}
    options["model"] = "against-a-file"
    result = user_folder.search(**options, reference=file, finalists=1, **{"finalists.epochs": 1})
    given, (finalist,) = result.given, result.finalists
    assert given is not None
    assert given.artefacts.keys() >= {"fp32", "int8"}
    assert re.match(
        r"Reference: the detector as given, mine\.onnx, in int8 by ONNX Runtime's static quantization: map "
        r"0\.\d+, .* ms \(in float: map 0\.\d+, .* ms\)\.",
        result.answer[0],
    )
    assert finalist.metrics.keys() >= {"map_difference", "map_difference_ci_low", "map_difference_ci_high"}
    assert all(one.metrics.keys() >= {"test_map", "test_map_50"} for one in (given, finalist))
    ratios = [one.metrics["latency_ratio"] for one in (given, finalist)]
    assert finalist.metrics["speedup"] == pytest.approx(ratios[0] / ratios[1])
    versions = {
        version.tags["nas.role"]: version.tags
        for version in user_folder.client.search_model_versions("name='against-a-file'")
    }
    assert versions.keys() == {"reference", "finalist"}
    assert versions["reference"]["nas.sha256"] == file_digest(given.artefacts["int8"])
    assert result.report is not None
    assert "as-given" in result.report.read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match="given"):
        user_folder.search(**options)


@pytest.fixture(scope="module")
def classified(user_folder: UserFolder) -> SearchResult:
    """A search of classifiers."""
    data = write_class_folders(user_folder.path / "colours", classes=("red", "green"))
    return user_folder.search(
        space=CLASSIFIER,
        data=f"folder:{data}",
        classes="red,green",
        trials=2,
        study="classified",
        model="colours",
        **{"data.eval_augmentations": 1, "training.batch_size": 4, "epochs": 16, "registry.max_drop": 1},
    )


def test_a_classifier_is_searched_registered_and_deployed(
    user_folder: UserFolder, classified: SearchResult
) -> None:
    """By top-1, with one for each class; nothing of it is called map."""
    assert [(one.state, one.error) for one in classified.trials] == [("complete", None)] * 2
    metrics = classified.trials[0].metrics
    assert metrics.keys() >= {"top1", "top1_fp32", "top1/red", "top1/green", "latency_ms", "board_drift"}
    assert not [name for name in metrics if "map" in name]
    assert classified.registry is not None
    version = user_folder.client.get_model_version_by_alias("colours", "champion")
    assert version.tags.items() >= {"nas.task": "classification", "nas.accuracy": "top1"}.items()
    assert float(version.tags["nas.reference_top1"]) == pytest.approx(metrics["top1"])
    assert not [name for name in version.tags if "map" in name]


def test_the_deployed_classifier_answers_with_classes(
    user_folder: UserFolder, classified: SearchResult
) -> None:
    """The best first; the manifest describes logits."""
    assert classified.deployed is not None
    assert classified.deployed["output"]["score"] == "softmax over the classes"
    image = np.full((30, 30, 3), 60, np.uint8)
    image[..., 0] = 180
    with user_folder.entered():
        (found,) = get_deploy_client("nas-edge://fake").predict(classified.deployed["name"], image)[
            "predictions"
        ]
    assert found.keys() == {"classes", "scores"}
    assert sorted(found["scores"], reverse=True) == found["scores"]
    assert set(found["classes"]) <= {"red", "green"}


def test_data_of_another_task_is_refused(user_folder: UserFolder, classified: SearchResult) -> None:  # noqa: ARG001 - wrote the data
    """Boxes for a classifier, classes for a detector."""
    with pytest.raises(ConfigError, match=r"has boxes, and classification needs classes: give folders"):
        user_folder.search(space=CLASSIFIER, study="none")
    data = {"data": f"folder:{user_folder.path / 'colours'}", "classes": "red,green"}
    with pytest.raises(ConfigError, match=r"has classes, and detection needs boxes: give annotated boxes"):
        user_folder.search(**{**OPTIONS, **data}, study="none")
    boxes = {"space": CLASSIFIER, **data, "quantization.output": "boxes"}
    with pytest.raises(ConfigError, match=r"networks of the task classification give no boxes: leave it out"):
        user_folder.search(**boxes, study="none")
