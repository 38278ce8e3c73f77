"""Data sets of annotated images by URI, and the batches that networks train on."""

from mlflow_nas.data.audit import write_page
from mlflow_nas.data.augment import Augmentation, augment_batch
from mlflow_nas.data.calibration import calibration_images
from mlflow_nas.data.dataset import DetectionDataset, Record
from mlflow_nas.data.eval_augmentations import default_eval_augmentations, with_eval_augmentations
from mlflow_nas.data.findings import Finding, Findings
from mlflow_nas.data.formats import MissingSplitError
from mlflow_nas.data.formats.suffixes import is_image
from mlflow_nas.data.image_files import read_image
from mlflow_nas.data.images import resize_image, resize_to_bytes
from mlflow_nas.data.loading import MemoryLoader, stack_targets
from mlflow_nas.data.module import DetectionDataModule, in_order, prepare_batch
from mlflow_nas.data.sample import Batch, RawBatch, Sample, Truth
from mlflow_nas.data.sampling import BatchPlan, SequentialPlans, ShuffledPlans
from mlflow_nas.data.splits import Splits, audit_splits, load_held_out, load_splits
from mlflow_nas.data.uri import load_dataset, read_dataset

__all__ = [
    "Augmentation",
    "Batch",
    "BatchPlan",
    "DetectionDataModule",
    "DetectionDataset",
    "Finding",
    "Findings",
    "MemoryLoader",
    "MissingSplitError",
    "RawBatch",
    "Record",
    "Sample",
    "SequentialPlans",
    "ShuffledPlans",
    "Splits",
    "Truth",
    "audit_splits",
    "augment_batch",
    "calibration_images",
    "default_eval_augmentations",
    "in_order",
    "is_image",
    "load_dataset",
    "load_held_out",
    "load_splits",
    "prepare_batch",
    "read_dataset",
    "read_image",
    "resize_image",
    "resize_to_bytes",
    "stack_targets",
    "with_eval_augmentations",
    "write_page",
]
