"""The context that all trials of a study share: space, data, board, first weights, recipe."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from torch import Tensor, nn

from mlflow_nas.data import DetectionDataModule, DetectionDataset
from mlflow_nas.networks import FileOutput, Task
from mlflow_nas.runtime import OnnxRuntime, Runtime
from mlflow_nas.space import (
    INPUT_SIZES,
    BackboneWeights,
    SearchSpace,
    SeedWeights,
    build_detector,
    keeps_trunk,
    state_digest,
)
from mlflow_nas.tasks import get_task
from mlflow_nas.train import Parts, Recipe, Teacher, TrainerSettings, fine_tuning
from mlflow_nas.trial.cache import StepCache, fingerprint
from mlflow_nas.trial.given import GivenDetector
from mlflow_nas.trial.given_file import GivenFile
from mlflow_nas.trial.schedule import is_short
from mlflow_nas.types import UINT8_NHWC_RGBX, Architecture, Board, InputContract, Limit, Objective

__all__ = ["StudyContext", "dataset_tag"]

_TAG_CHARACTERS = 12


@dataclass(frozen=True, kw_only=True, eq=False)
class StudyContext:
    """The inputs of a trial beside its architecture.

    Attributes:
        space: of the architectures.
        train: training split; also the source of calibration images.
        val: split on which the objective of the task is measured.
        test: split that is measured at the end and decides nothing; None for none.
        board: where latency is measured.
        runtime: compiles the files and runs them.
        cache: of the steps' outputs.
        epochs: of one training.
        batch_size: images per training step.
        seed: of weights, training and calibration, the same for every architecture.
        recipe: the numbers of the training.
        objectives: what the search optimizes.
        limits: an architecture that violates one is infeasible.
        freeze_unchanged: a short training freezes a transferred backbone that all architectures share.
        retakes_statistics: a training ends with BatchNorm statistics of its final weights, where it gains.
        aspect: width / height of the network's input.
        weights: a trained seed network whose weights are transferred, or None.
        backbone_weights: ImageNet weights, used without a seed network; or None.
        precision: of the file that is measured; float files are for comparison.
        int8_input: what the int8 file takes.
        file_output: what both files give: the network's own output, or decoded boxes.
        max_int8_drop: largest drop of accuracy by int8; an architecture above it fails.
        trainer: Lightning's settings of a training.
        threads: of a training; None for the cores that are free.
        reference_ms: latency of the reference model, milliseconds, measured once per study; None before.
        given: the detector as it was given, to compare with; None for none.
        given_ratio: its latency, relative to the reference model's; 1 without one.
        starts: key of an architecture to the first weights of its training, where they are not transferred.
    """

    space: SearchSpace
    train: DetectionDataset
    val: DetectionDataset
    board: Board
    cache: StepCache
    epochs: int
    batch_size: int
    seed: int
    recipe: Recipe
    objectives: tuple[Objective, ...]
    limits: tuple[Limit, ...] = ()
    runtime: Runtime = field(default_factory=OnnxRuntime)
    retakes_statistics: bool = False
    aspect: float = 1.0
    weights: SeedWeights | None = None
    backbone_weights: BackboneWeights | None = None
    test: DetectionDataset | None = None
    precision: Literal["int8", "fp32"] = "int8"
    int8_input: InputContract = UINT8_NHWC_RGBX
    file_output: FileOutput = "network"
    max_int8_drop: float = 0.02
    freeze_unchanged: bool = False
    trainer: TrainerSettings = field(default_factory=TrainerSettings)
    threads: int | None = None
    reference_ms: float | None = None
    given: GivenDetector | GivenFile | None = None
    given_ratio: float = 1.0
    starts: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)

    @cached_property
    def dataset_tag(self) -> str:
        """The data's format and a digest of the training and validation splits, independent of their place.

        Results of different tags are never compared.
        """
        return dataset_tag(self.train, self.val)

    @property
    def skipped_images(self) -> int:
        """Number of images that could not be used and were left out."""
        return len({*self.train.skipped, *self.val.skipped, *(self.test.skipped if self.test else ())})

    @cached_property
    def tags(self) -> dict[str, str]:
        """The values that must be equal for two results to be compared, as tags of every run."""
        return {
            "nas.board": self.board.name,
            "nas.protocol": self.board.protocol,
            "nas.runtime": self.runtime.name,
            "nas.space": self.space.name,
            "nas.task": self.task.name,
            "nas.dataset": self.dataset_tag,
            "nas.precision": self.precision,
        }

    @property
    def runs_onnx(self) -> bool:
        """Whether the board runs ONNX files, as the float ones are."""
        return self.runtime.suffix == ".onnx"

    @cached_property
    def task(self) -> Task:
        """That the networks of the space are trained for."""
        return get_task(self.space.task)

    @property
    def parts(self) -> Parts:
        """Of the space's networks, that may be frozen."""
        space = self.space
        return Parts(trunk=space.trunk, stem=space.stem, caches_trunk=space.caches_trunk)

    def input_size(self, architecture: Architecture) -> tuple[int, int]:
        """Height and width in pixels, of the study's aspect ratio."""
        return self.space.input_size(architecture, self.aspect)

    def build(self, architecture: Architecture) -> nn.Module:
        """The network with its first weights; the same seed gives the same weights.

        Raises:
            CandidateError: the space can't build it.
        """
        network = build_detector(
            architecture,
            num_classes=len(self.val.classes),
            space=self.space,
            backbone_weights=self.backbone_weights,
            weights=self.weights,
            seed=self.seed,
        )
        if self.starts and (start := self.starts.get(self.space.key(architecture))):
            network.load_state_dict(start)
        return network

    def with_seed_network(self, weights: SeedWeights) -> "StudyContext":
        """The context whose architectures start from a whole trained network: lower rates, frozen parts."""
        recipe = fine_tuning(self.recipe)
        if (
            self.freeze_unchanged
            and is_short(self.epochs, len(self.train), self.batch_size)
            and keeps_trunk(self.space)
        ):
            recipe = replace(recipe, freeze="backbone")
        return replace(self, recipe=recipe, weights=weights)

    def finishing(self, epochs: int) -> "StudyContext":
        """The context of trainings to the end: longer, of everything, with statistics of their own."""
        recipe = replace(self.recipe, freeze="none")
        return replace(self, epochs=epochs, recipe=recipe, limits=(), retakes_statistics=True)

    def teacher(self, architecture: Architecture) -> Teacher | None:
        """The seed network at an architecture's input size, for distillation.

        None without one, where it has another number of classes or other weights at that size, and for
        networks without `distilled_loss`.
        """
        if self.weights is None or not self.recipe.distillation or self.space.transfer is None:
            return None
        full, classes = self.weights.full, self.weights.class_indexes
        sizes = {name: architecture[name] for name in INPUT_SIZES if name in architecture}
        baseline = {**self.space.baseline, **sizes}
        num_classes = (full.num_classes if classes else None) or len(self.val.classes)
        network = build_detector(baseline, num_classes=num_classes, space=self.space)
        if not hasattr(network, "distilled_loss") or not full.fits(network):
            return None
        full.fill(network)
        return Teacher(network, classes=classes)

    def data(self, architecture: Architecture) -> DetectionDataModule:
        """Both splits at the architecture's input size."""
        return self.data_at(self.input_size(architecture))

    def data_at(self, img_size: tuple[int, int]) -> DetectionDataModule:
        """Both splits at an input size, height and width in pixels."""
        return DetectionDataModule(
            self.train,
            self.val,
            img_size=img_size,
            batch_size=self.batch_size,
            seed=self.seed,
            augmentation=self.recipe.augmentation,
        )

    @cached_property
    def weights_digest(self) -> str | None:
        """SHA-256 of the seed network's weights; None without one."""
        return None if self.weights is None else state_digest(self.weights.full.state)

    def fixed_inputs(self) -> dict[str, Any]:
        """The inputs that a continued study can't change, by name, as plain values."""
        return {
            **self.tags,
            "choices": self.space.describe(),
            "objectives": [f"{one.name} ({one.direction})" for one in self.objectives],
            "input": self.int8_input,
            "output": self.file_output,
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "recipe": repr(self.recipe),
            "trainer": repr(self.trainer),
            "aspect": self.aspect,
            "seed": self.seed,
            "weights": self.weights_digest,
            "given": self.given.digest if self.given else None,
            "test": self.test.digest[:_TAG_CHARACTERS] if self.test else None,
        }


def dataset_tag(train: DetectionDataset, val: DetectionDataset) -> str:
    """The data's format and a digest of both splits, independent of their place."""
    both = fingerprint(train=train.digest, val=val.digest)
    return f"{val.uri.partition(':')[0]}@{both[:_TAG_CHARACTERS]}"
