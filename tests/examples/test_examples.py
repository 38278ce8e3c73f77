"""The worked examples on real images: searched, quantized, measured, registered, deployed."""

from pathlib import Path
from typing import Any

import pytest
from user_folder import UserFolder

from mlflow_nas.api import SearchResult

EXAMPLES = Path(__file__).parents[2] / "examples"
MAX_LINES = 120


def _search(folder: UserFolder, example: str, **options: Any) -> SearchResult:
    """A search of two trials of one epoch, the baseline narrowed away from its full size."""
    name = example.removesuffix(".py")
    return folder.search(
        space=f"{EXAMPLES / example}:SPACE",
        trials=2,
        study=name,
        model=name,
        **{"registry.max_drop": 1, **options},
    )


def _is_complete(folder: UserFolder, result: SearchResult, accuracy: str) -> None:
    """All trials are measured, versions are registered, and the champion is on the device."""
    assert [(one.error, one.state) for one in result.trials] == [(None, "complete")] * 2
    assert all(one.metrics.keys() >= {accuracy, "latency_ms", "board_drift"} for one in result.trials)
    assert result.registry is not None
    version = result.registry["aliases"]["champion"]
    assert result.deployed is not None
    assert result.deployed["version"] == str(version)
    assert (
        folder.client.get_model_version(result.registry["model"], str(version)).tags["nas.accuracy"]
        == accuracy
    )


@pytest.mark.parametrize("example", [path.name for path in sorted(EXAMPLES.glob("*.py"))])
def test_an_example_is_short(example: str) -> None:
    """A user reads it before writing another."""
    assert len((EXAMPLES / example).read_text(encoding="utf-8").splitlines()) < MAX_LINES


@pytest.mark.slow  # trains detectors of 320 x 320 pixels
@pytest.mark.parametrize("example", ["anchor_free.py", "ssdlite.py"])
def test_a_detector_is_searched_to_the_device(
    user_folder: UserFolder, penn_fudan: Path, example: str
) -> None:
    """Pedestrians in real images."""
    data = {"data": f"coco:{penn_fudan}", "classes": "person"}
    _is_complete(user_folder, _search(user_folder, example, **data), "map")


@pytest.mark.slow  # trains MobileNetV3 of 224 x 224 pixels
def test_a_classifier_is_searched_to_the_device(user_folder: UserFolder, crops: Path) -> None:
    """Persons and vehicles, cut out of real images."""
    data = {"data": f"folder:{crops}", "classes": "person,vehicle", "epochs": 4}
    result = _search(user_folder, "mobilenet_classifier.py", **data)
    _is_complete(user_folder, result, "top1")
    assert result.trials[0].metrics.keys() >= {"top1/person", "top1/vehicle"}
