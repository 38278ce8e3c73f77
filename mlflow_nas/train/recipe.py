"""How a candidate is trained: the numbers, as one value."""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from mlflow_nas.data import Augmentation

__all__ = ["Freeze", "Recipe", "RecipeName", "fine_tuning", "named_recipe", "published"]

Freeze: TypeAlias = Literal["none", "stem", "backbone"]
RecipeName: TypeAlias = Literal["ours", "published"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """AdamW with one cycle and an exponential moving average of the weights, unless told otherwise.

    Attributes:
        optimizer: AdamW (arXiv:1711.05101), or SGD with momentum.
        schedule: one-cycle (arXiv:1708.07120), or steps: a tenth at 1/3, 2/3 and 5/6 of the training.
        learning_rate: its peak.
        kept_rate: its peak for weights that were inherited as they were (arXiv:1801.06146, section 3.2, has
            a rate per layer).
        fine_tuning_rates: these two for a network that inherits from a trained one.
        momentum: of SGD; one-cycle sets AdamW's.
        weight_decay: on convolution weights only with AdamW, on everything with SGD.
        warmup_fraction: share of the steps in which the learning rate rises.
        ema_decay: per step; the averaged network is the one that is evaluated and shipped; 0 for no average.
        gradient_clip: largest norm of the gradient; 0 for no limit.
        augmentation: of the training images.
        distillation: weight of what the seed network teaches beside the boxes (arXiv:1503.02531), where there
            is one; 0 for nothing.
        freeze: what is not trained: nothing, the first convolution, or the whole backbone, whose features
            are then computed once where they fit into memory.
        views: with a frozen backbone, how many augmented views of each image have their features cached.
    """

    optimizer: Literal["adamw", "sgd"] = "adamw"
    schedule: Literal["one-cycle", "steps"] = "one-cycle"
    learning_rate: float = 4e-3
    kept_rate: float = 4e-3
    fine_tuning_rates: tuple[float, float] = (1e-3, 3e-4)
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warmup_fraction: float = 0.25
    ema_decay: float = 0.98
    gradient_clip: float = 10.0
    augmentation: Augmentation = "flip-zoom"
    distillation: float = 0.3
    freeze: Freeze = "none"
    views: int = 4


def fine_tuning(recipe: Recipe | None = None) -> Recipe:
    """For inherited weights: the rates of a fresh head would wash them out.

    What was kept whole wants a lower rate than what was cut to fit: docs/results/detector.md has the figures.
    """
    chosen = recipe or Recipe()
    learning_rate, kept_rate = chosen.fine_tuning_rates
    return replace(chosen, learning_rate=learning_rate, kept_rate=kept_rate)


def published() -> Recipe:
    """FastestDet's own training (github.com/dog-qiuqiu/FastestDet): SGD, steps, crop or shrink, no average.

    It has no teacher. Its 300 epochs begin with 5 of warm-up; of a shorter training the warm-up takes the
    same share. It was published with batches of 96.
    """
    return Recipe(
        optimizer="sgd",
        schedule="steps",
        learning_rate=1e-3,
        kept_rate=1e-3,
        fine_tuning_rates=(1e-3, 1e-3),
        momentum=0.949,
        weight_decay=5e-4,
        warmup_fraction=5 / 300,
        ema_decay=0.0,
        gradient_clip=0.0,
        augmentation="crop-shrink",
        distillation=0.0,
    )


def named_recipe(name: RecipeName, *, freeze: Freeze = "none", distillation: float | None = None) -> Recipe:
    """The recipe of that name, for a fresh head; without a weight of distillation with its own."""
    chosen = published() if name == "published" else Recipe()
    weight = chosen.distillation if distillation is None else distillation
    return replace(chosen, freeze=freeze, distillation=weight)
