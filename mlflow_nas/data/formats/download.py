"""Data sets that torchvision downloads: ``voc-download:2012``."""

import shutil
import tempfile
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path

import torch
from torchvision.datasets import VOCDetection

from mlflow_nas.data.formats.annotation import AnnotatedSplit
from mlflow_nas.data.formats.uri_options import parse_options, whole_number
from mlflow_nas.data.formats.voc import read_voc
from mlflow_nas.data.sample import Split
from mlflow_nas.errors import ConfigError

__all__ = ["read_voc_download"]


def read_voc_download(location: str, split: Split, classes: Sequence[str]) -> AnnotatedSplit:
    """Read one split of PASCAL VOC, which torchvision downloads once, checked by its hash.

    Args:
        location: ``YEAR[?root=DIR]``, 2007 to 2012. DIR keeps the data; unset: ``datasets`` in torch's home.
        split: names the file in ImageSets/Main.
        classes: object names to keep; labels index them.

    Raises:
        ConfigError: the download failed, or as `read_voc`.
    """
    text, _, query = location.partition("?")
    year = whole_number("year", text, low=2007, high=2012)
    given = parse_options(query, known=("root",)).get("root")
    root = Path(given) if given else Path(torch.hub.get_dir()).parent / "datasets"
    devkit = root / f"voc{year}"
    if not devkit.is_dir():
        _download(year, devkit)
    return read_voc(f"{devkit}?year={year}", split, classes)


def _download(year: int, devkit: Path) -> None:
    """Put VOCdevkit where it belongs when all of it is there: a process killed midway leaves nothing."""
    try:
        devkit.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=devkit.parent) as folder:
            VOCDetection(folder, year=str(year), image_set="train", download=True)
            (found,) = Path(folder).rglob(f"VOC{year}")
            shutil.move(found.parent, devkit)
    except (OSError, HTTPException, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"PASCAL VOC {year} can't be downloaded to {devkit.parent}: {error}. Without a network give "
            f"a folder that holds VOC{year}/ as voc:DIR?year={year}; ?root=DIR names another disk."
        ) from error
