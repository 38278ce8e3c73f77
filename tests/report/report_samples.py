"""A finished study for the tests of its page."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.report import ImageMatch, Matches, StudyReport, compare_images
from mlflow_nas.types import Objective, TrialResult

OBJECTIVES = (Objective("map", "maximize"), Objective("latency_ms", "minimize"))
REFERENCE_MS = 10.0


def trial(number: int, accuracy: float, ratio: float, **known: object) -> TrialResult:
    """A complete trial."""
    metrics = {
        "map": accuracy,
        "map_fp32": accuracy + 0.01,
        "latency_ms": ratio * REFERENCE_MS,
        "latency_ratio": ratio,
        "speedup": 1 / ratio,
        "flops": 2e8 * ratio,
        "params": 2e5,
        "model_size_bytes": 3e5,
    }
    values = {
        "number": number,
        "key": f"k3-c{number}",
        "architecture": {"kernel_size": 3, "channels": number},
        "state": "complete",
        "metrics": {**metrics, **dict(known.pop("metrics", {}))},  # type: ignore[call-overload]
        "run_id": f"run{number}",
    }
    return TrialResult(**{**values, **known})  # type: ignore[arg-type]


def finalist(number: int, accuracy: float, ratio: float) -> TrialResult:
    """One with intervals."""
    ends = {"map_ci_low": accuracy - 0.03, "map_ci_high": accuracy + 0.03}
    apart = {"map_difference_ci_low": -0.02, "map_difference_ci_high": 0.04}
    return trial(number, accuracy, ratio, role="finalist", metrics={**ends, **apart})


def rows(*boxes: tuple[float, ...]) -> NDArray[np.float32]:
    """Boxes of one image."""
    return np.array(boxes, np.float32).reshape(-1, 6)


def match(*, hits: int = 0, false: int = 0, missed: int = 0) -> ImageMatch:
    """An image with these numbers of hits, missed and false boxes."""
    box = (0.0, 10.0, 20.0, 30.0, 40.0, 0.9)
    return ImageMatch(
        hits=rows(*[box] * hits),
        false=rows(*[box] * false),
        found=rows(*[box] * hits),
        missed=rows(*[box] * missed),
        ignored=rows(),
    )


def study(**known: object) -> StudyReport:
    """A study of four trials whose champion is twice as fast."""
    results = (
        trial(0, 0.40, 1.0, role="baseline"),
        trial(1, 0.38, 0.5),
        trial(2, 0.20, 0.9),
        trial(3, 0.30, 0.4, latency_unstable=True),
        TrialResult(number=4, key="k5", architecture={}, state="failed", error="it can't be exported"),
    )
    matches = [
        Matches(0.3, 0.9, 0.8, (match(hits=2, missed=1), match(hits=1))),
        Matches(0.4, 0.8, 0.7, (match(hits=1, missed=2), match(hits=1, false=1))),
    ]
    images = compare_images(
        matches[0],
        matches[1],
        read=lambda index: (f"image-{index}", np.full((600, 800, 3), 90, np.uint8)),
        classes=("person<b>",),
    )
    values = {
        "study": "night",
        "objectives": OBJECTIVES,
        "results": results,
        "given": replace(trial(9, 0.41, 1.1, role="reference", key="as-given"), number=None),
        "finalists": (finalist(0, 0.42, 1.0), finalist(1, 0.41, 0.5)),
        "champion": "k3-c1",
        "answer": ("Reference: the detector as given.", "Ship k3-c1: 2.00 times as fast."),
        "settings": {"board": "pi", "goal": "speedup >= 2"},
        "facts": {"machine": "aarch64"},
        "images": tuple(images),
        "thresholds": {"reference": {"threshold": 0.3, "precision": 0.9, "recall": 0.8}},
        "layers": ({"module": "backbone.stage2", "reference_ms": 3.0, "champion_ms": 1.5},),
        "importance": {"map": {"channels": 0.9, "kernel_size": 0.1}},
        "hypervolume": (0.1, 0.2, 0.2, 0.25),
        "seconds": {"seed network": 60.0, "trials": 7200.0},
        "runs_page": "http://mlflow.example/#/experiments/1/runs/",
    }
    return StudyReport(**{**values, **known})  # type: ignore[arg-type]
