"""Readers of annotations: COCO, PASCAL VOC, YOLO, and folders of classes."""

from mlflow_nas.data.formats.annotation import (
    AnnotatedSplit,
    Annotation,
    BoxOrder,
    EmptySplitError,
    MissingSplitError,
    Reader,
)
from mlflow_nas.data.formats.class_folders import read_class_folders
from mlflow_nas.data.formats.coco import read_coco
from mlflow_nas.data.formats.download import read_voc_download
from mlflow_nas.data.formats.voc import read_voc
from mlflow_nas.data.formats.yolo import read_yolo

__all__ = [
    "AnnotatedSplit",
    "Annotation",
    "BoxOrder",
    "EmptySplitError",
    "MissingSplitError",
    "Reader",
    "read_class_folders",
    "read_coco",
    "read_voc",
    "read_voc_download",
    "read_yolo",
]
