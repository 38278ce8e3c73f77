"""What a report shows beside the trials: images with both detectors' boxes, the time of each module."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.board import DeviceBoard, NodeCost, compare_profiles, profile_files
from mlflow_nas.errors import BoardError, CandidateError
from mlflow_nas.export import node_costs, node_modules
from mlflow_nas.report import compare_images, match_detections
from mlflow_nas.search.session import study_folder
from mlflow_nas.trial import StudyContext
from mlflow_nas.types import TrialResult

__all__ = ["keep_evidence", "read_evidence"]

_log = logging.getLogger(__name__)

_FILE = "evidence.json"
_DEPTH = 2


def keep_evidence(
    study: str, context: StudyContext, *, reference: TrialResult, champion: TrialResult
) -> None:
    """Compare two networks on images of the validation split and by module; kept in the study's folder.

    Args:
        study: its name.
        context: its data and board.
        reference: what is compared with.
        champion: what ships, or comes nearest to it.
    """
    evidence = {
        "reference": reference.key,
        "champion": champion.key,
        **_images(context, reference, champion),
        "layers": _layers(context, reference, champion),
    }
    path = study_folder(study) / _FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(evidence), encoding="utf-8")


def read_evidence(study: str) -> Mapping[str, Any]:
    """What `keep_evidence` kept on this machine; empty where nothing was."""
    path = study_folder(study) / _FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _images(context: StudyContext, reference: TrialResult, champion: TrialResult) -> dict[str, Any]:
    """Chosen images with all boxes, and how each detector's boxes were chosen."""
    records = [one.artefacts.get("detections") for one in (reference, champion)]
    if not all(_has_boxes(record) for record in records):
        return {"images": [], "thresholds": {}}
    data = context.val.originals
    first, second = (match_detections(Path(str(record)), images=len(data)) for record in records)

    def read(index: int) -> tuple[str, NDArray[np.uint8]]:
        record = data.records[index]
        return record.image_id, record.source.read()

    found = compare_images(first, second, read=read, classes=data.classes)
    return {
        "images": [one.as_json() for one in found],
        "thresholds": {
            name: {"threshold": one.threshold, "precision": one.precision, "recall": one.recall}
            for name, one in (("reference", first), ("champion", second))
        },
    }


def _has_boxes(record: Path | None) -> bool:
    """Whether the record of an evaluation is on this machine and holds boxes."""
    if record is None or not record.is_file():
        return False
    with np.load(record) as file:
        return {"found", "truth"} <= set(file.files)


def _layers(context: StudyContext, reference: TrialResult, champion: TrialResult) -> list[dict[str, Any]]:
    """Times by module of both files on the board; nothing where the board can't tell them."""
    board = context.board
    files = {
        name: one.artefacts["int8"] for name, one in _named(reference, champion) if "int8" in one.artefacts
    }
    if not isinstance(board, DeviceBoard) or board.device.emulated or not context.runs_onnx or len(files) < 2:
        return []
    costs = {
        name: {node: NodeCost(*cost) for node, cost in node_costs(path).items()}
        for name, path in files.items()
    }
    modules = {node: module for path in files.values() for node, module in node_modules(path).items()}
    try:
        profiles, _ = profile_files(board, files, costs, modules)
    except (BoardError, CandidateError) as error:
        _log.warning("The report has no times by module: %s", error)
        return []
    rows = compare_profiles(profiles, _DEPTH)["modules"]
    return [{name: row[name] for name in ("module", "reference_ms", "champion_ms")} for row in rows]


def _named(reference: TrialResult, champion: TrialResult) -> tuple[tuple[str, TrialResult], ...]:
    return ("reference", reference), ("champion", champion)
