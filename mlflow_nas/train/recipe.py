"""How a candidate is trained: the numbers, as one value."""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from mlflow_nas.data import Augmentation
from mlflow_nas.errors import ConfigError

__all__ = ["Freeze", "Parts", "Recipe", "RecipeName", "fastestdet_recipe", "fine_tuning", "named_recipe"]

Freeze: TypeAlias = Literal["none", "stem", "backbone"]
RecipeName: TypeAlias = Literal["default", "fastestdet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Paths of the modules of a network that may be frozen; a `SearchSpace` has them.

    Attributes:
        trunk: takes the images; None for none.
        stem: the first layers; None for none.
        caches_trunk: the outputs of a frozen trunk are computed once.
    """

    trunk: str | None = None
    stem: str | None = None
    caches_trunk: bool = False

    def frozen(self, freeze: Freeze) -> str | None:
        """The path of the part that a recipe freezes; None for none.

        Raises:
            ConfigError: the space names no such part.
        """
        if freeze == "none":
            return None
        path = self.trunk if freeze == "backbone" else self.stem
        if path is None:
            name = "trunk" if freeze == "backbone" else "stem"
            raise ConfigError(
                f"training.freeze={freeze}: the space names no {name} to freeze; give its SearchSpace "
                f'{name}="MODULE.PATH", or set training.freeze=none.'
            )
        return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The default: AdamW with one cycle and an exponential moving average of the weights.

    Attributes:
        optimizer: AdamW (arXiv:1711.05101), or SGD with momentum.
        schedule: one-cycle (arXiv:1708.07120), or steps: a tenth at 1/3, 2/3 and 5/6 of the training.
        learning_rate: its peak.
        unchanged_rate: its peak for weights that equal the seed network's (arXiv:1801.06146, section 3.2, has
            a rate per layer).
        fine_tuning_rates: these two for a network that starts from a trained one's weights.
        momentum: of SGD; one-cycle sets AdamW's.
        weight_decay: on convolution weights only with AdamW, on everything with SGD.
        warmup_fraction: share of the steps in which the learning rate rises.
        ema_decay: per step; the averaged network is the one that is evaluated and shipped; 0 for no average.
        gradient_clip: largest norm of the gradient; 0 for no limit.
        augmentation: of the training images.
        distillation: weight of the loss against the seed network's soft targets (arXiv:1503.02531), where
            there is one; 0 for none.
        freeze: the frozen part: none, or a space's stem or trunk ("backbone").
        keeps_statistics: BatchNorm layers of parts that equal the seed network keep its statistics
            (arXiv:1512.03385, appendix A).
        augmented_copies: with a frozen trunk whose outputs are cached, number of augmented copies of each
            image.
    """

    optimizer: Literal["adamw", "sgd"] = "adamw"
    schedule: Literal["one-cycle", "steps"] = "one-cycle"
    learning_rate: float = 4e-3
    unchanged_rate: float = 4e-3
    fine_tuning_rates: tuple[float, float] = (1e-3, 3e-4)
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warmup_fraction: float = 0.25
    ema_decay: float = 0.98
    gradient_clip: float = 10.0
    augmentation: Augmentation = "flip-zoom"
    distillation: float = 0.3
    freeze: Freeze = "none"
    keeps_statistics: bool = True
    augmented_copies: int = 4


def fine_tuning(recipe: Recipe | None = None) -> Recipe:
    """For transferred weights: the rates of a fresh head would destroy them.

    Unchanged weights need a lower rate than sliced ones: docs/results/detector.md has the figures.
    """
    chosen = recipe or Recipe()
    learning_rate, unchanged_rate = chosen.fine_tuning_rates
    return replace(chosen, learning_rate=learning_rate, unchanged_rate=unchanged_rate)


def fastestdet_recipe() -> Recipe:
    """FastestDet's own training (github.com/dog-qiuqiu/FastestDet): SGD, steps, crop or shrink, no average.

    Without distillation, and with statistics of its batches. Its 300 epochs begin with 5 of warm-up; in a
    shorter training the warm-up takes the same share. It was published with batches of 96.
    """
    return Recipe(
        optimizer="sgd",
        schedule="steps",
        learning_rate=1e-3,
        unchanged_rate=1e-3,
        fine_tuning_rates=(1e-3, 1e-3),
        momentum=0.949,
        weight_decay=5e-4,
        warmup_fraction=5 / 300,
        ema_decay=0.0,
        gradient_clip=0.0,
        augmentation="crop-shrink",
        distillation=0.0,
        keeps_statistics=False,
    )


def named_recipe(name: RecipeName, *, freeze: Freeze = "none", distillation: float | None = None) -> Recipe:
    """The recipe of that name, for a fresh head; `distillation` None is its own weight."""
    chosen = fastestdet_recipe() if name == "fastestdet" else Recipe()
    weight = chosen.distillation if distillation is None else distillation
    return replace(chosen, freeze=freeze, distillation=weight)
