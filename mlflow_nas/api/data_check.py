"""`mlflow_nas data check`: what is left out of a data set, and what is suspicious in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlflow_nas.api.results import Result, Row
from mlflow_nas.api.settings import read_settings
from mlflow_nas.config import DataCheckConfig

if TYPE_CHECKING:
    from mlflow_nas.data import DetectionDataset

__all__ = ["DataCheckResult", "data_check"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCheckResult(Result):
    """Result of `data check`.

    Attributes:
        uri: of the data set.
        classes: that were requested.
        splits: a row each: images, boxes, ignored boxes, digest.
        missing: reason for each split that is not there.
        findings: a row for each kind: severity (refused, warning, counted), count, reason, examples.
        usable: whether commands take the data set.
        page: the HTML page; None without one.
    """

    uri: str
    classes: tuple[str, ...]
    splits: tuple[Row, ...]
    missing: Mapping[str, str]
    findings: tuple[Row, ...]
    usable: bool
    page: Path | None = None


def data_check(
    settings: DataCheckConfig | None = None, /, *, config: Path | str | None = None, **options: object
) -> DataCheckResult:
    """Read all splits of a data set, and list what is refused, left out, suspicious or not used.

    Args:
        settings: the configuration; None for keywords.
        config: a YAML file with further settings.
        options: settings by option or dotted name.

    Raises:
        ConfigError: a setting, a file that is malformed, or there is no split at all.
    """
    chosen = read_settings(DataCheckConfig, settings, options, config)
    from mlflow_nas.data import MissingSplitError, audit_splits, read_dataset, write_page

    data = chosen.data
    splits: dict[str, DetectionDataset] = {}
    missing: dict[str, MissingSplitError] = {}
    for name in ("train", "val", "test"):
        try:
            splits[name] = read_dataset(data.uri, name, data.classes, on_bad_image="skip")
        except MissingSplitError as error:
            missing[name] = error
    if not splits:
        raise missing["train"]
    findings = audit_splits(splits)
    page = write_page(chosen.page, uri=data.uri, splits=splits, findings=findings) if chosen.page else None
    skipped = findings.counts.get("image-unusable", 0)
    return DataCheckResult(
        uri=data.uri,
        classes=data.classes,
        splits=tuple(_row(name, split) for name, split in splits.items()),
        missing={name: str(error) for name, error in missing.items()},
        findings=tuple(
            {
                "kind": one.kind,
                "severity": one.severity,
                "count": one.count,
                "reason": one.reason,
                "examples": [example.place for example in one.examples],
            }
            for one in sorted(findings, key=lambda one: (one.severity != "refused", one.severity))
        ),
        usable=not findings.of("refused") and not (skipped and data.on_bad_image == "refuse"),
        page=page,
    )


def _row(name: str, split: "DetectionDataset") -> dict[str, object]:
    return {
        "split": name,
        "images": len(split),
        "boxes": sum(len(record.boxes) for record in split.records),
        "ignored": sum(int(record.ignore.sum()) for record in split.records),
        "digest": split.digest,
    }
