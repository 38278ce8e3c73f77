"""What every trial of a study shares: data, board, budget, first weights."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.data import DetectionDataModule, DetectionDataset, calibration_images
from mlflow_nas.search.schedule import is_short
from mlflow_nas.space import (
    BackboneWeights,
    FastestDet,
    SearchSpace,
    SeedWeights,
    build_detector,
    keeps_backbone,
)
from mlflow_nas.train import Recipe, Teacher, fine_tuning
from mlflow_nas.types import Architecture, Board

__all__ = ["Workbench"]

_DIGEST_CHARACTERS = 12


@dataclass(frozen=True, kw_only=True)
class Workbench:
    """All that a trial needs beside its architecture.

    Attributes:
        space: where candidates come from.
        train: training split; also the source of calibration images.
        val: split on which mAP is measured.
        test: split that decides nothing, measured at the end; None for none.
        board: where latency is measured.
        folder: where files go, one sub-folder per architecture.
        epochs: of one training.
        batch_size: images per step.
        seed: of weights, training and calibration, the same for every candidate.
        recipe: the numbers of the training.
        freeze_inherited: a short training of inherited weights leaves a backbone that all candidates share
            as it is.
        aspect: width / height of the network's input.
        weights: a trained seed network to inherit from, or None.
        backbone_weights: ImageNet weights, used without a seed network; or None.
        max_latency_ms: slower candidates are infeasible; None for no limit.
        precision: of the file that is measured; float files are for comparison.
        max_int8_drop: a candidate whose int8 file's mAP is further below the float network's has failed.
    """

    space: SearchSpace
    train: DetectionDataset
    val: DetectionDataset
    board: Board
    folder: Path
    epochs: int
    batch_size: int
    seed: int
    recipe: Recipe
    aspect: float = 1.0
    weights: SeedWeights | None = None
    backbone_weights: BackboneWeights | None = None
    test: DetectionDataset | None = None
    max_latency_ms: float | None = None
    precision: Literal["int8", "fp32"] = "int8"
    max_int8_drop: float = 0.02
    freeze_inherited: bool = False

    @property
    def dataset_tag(self) -> str:
        """The data's format and a digest of what is trained and measured on, wherever it lies.

        Results of different tags are never compared.
        """
        both = hashlib.sha256(f"{self.train.digest} {self.val.digest}".encode()).hexdigest()
        return f"{self.val.uri.partition(':')[0]}@{both[:_DIGEST_CHARACTERS]}"

    @property
    def skipped(self) -> int:
        """Images that could not be used and were left out."""
        return len({*self.train.skipped, *self.val.skipped, *(self.test.skipped if self.test else ())})

    @property
    def tags(self) -> dict[str, str]:
        """What tells whose results can be compared, as tags of every run."""
        return {
            "nas.board": self.board.name,
            "nas.space": self.space.name,
            "nas.dataset": self.dataset_tag,
            "nas.precision": self.precision,
        }

    def input_size(self, architecture: Architecture) -> tuple[int, int]:
        """Height and width in pixels, of the study's aspect ratio."""
        return self.space.input_size(architecture, self.aspect)

    def build(self, architecture: Architecture) -> FastestDet:
        """The candidate with its first weights; the same seed gives the same weights."""
        return build_detector(
            architecture,
            num_classes=len(self.val.classes),
            space=self.space,
            backbone_weights=self.backbone_weights,
            weights=self.weights,
            seed=self.seed,
        )

    def inheriting(self) -> "Workbench":
        """The bench for candidates of a whole seed network: their rates, and what keeps its weights."""
        recipe = fine_tuning(self.recipe)
        if (
            self.freeze_inherited
            and is_short(self.epochs, len(self.train), self.batch_size)
            and keeps_backbone(self.space)
        ):
            recipe = replace(recipe, freeze="backbone")
        return replace(self, recipe=recipe)

    def kept(self, network: FastestDet) -> frozenset[str]:
        """Names of the parameters that an untrained candidate inherited as they were."""
        return self.weights.kept_by(network) if self.weights else frozenset()

    def teacher(self, architecture: Architecture) -> Teacher | None:
        """The seed network, for a candidate to learn from at its own input size.

        None without one, where it tells another number of classes apart, or has other weights at that size.
        """
        if self.weights is None:
            return None
        seed, classes = self.weights.uncut, self.weights.kept_classes
        baseline = {**self.space.baseline}
        if "img_width" in baseline:
            baseline["img_width"] = architecture["img_width"]
        network = build_detector(
            baseline, num_classes=seed.num_classes if classes else len(self.val.classes), space=self.space
        )
        if not seed.fits(network):
            return None
        seed.fill(network)
        return Teacher(network, classes=classes)

    def data(self, architecture: Architecture) -> DetectionDataModule:
        """Both splits at the candidate's input size."""
        return DetectionDataModule(
            self.train,
            self.val,
            img_size=self.input_size(architecture),
            batch_size=self.batch_size,
            seed=self.seed,
            augmentation=self.recipe.augmentation,
        )

    def real_images(self, architecture: Architecture, count: int) -> NDArray[np.float32]:
        """Some images of the validation split at the candidate's input size: float32 [n, 3, H, W]."""
        size = self.input_size(architecture)
        return calibration_images(self.val, img_size=size, count=count, seed=self.seed)
