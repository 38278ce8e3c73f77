"""The detector as it was given: what every result of a study is compared with."""

from dataclasses import dataclass
from functools import cached_property

from torch import nn

from mlflow_nas.space import COCO_CLASSES, SearchSpace, SeedWeights, build_detector, state_digest

__all__ = ["AS_GIVEN", "GivenDetector", "given_detector"]

AS_GIVEN = "as-given"
"""The key of its result: it is no architecture of the space with the study's classes."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GivenDetector:
    """Trained weights of a space's baseline, at their own input size, with all of their classes.

    Attributes:
        weights: as they were given.
        space: whose baseline they are.
        img_size: height and width of the input, pixels.
        classes: names of all classes that it detects.
        class_indexes: for each class of the data the detector's index of it.
    """

    weights: SeedWeights
    space: SearchSpace
    img_size: tuple[int, int]
    classes: tuple[str, ...]
    class_indexes: tuple[int, ...]

    @cached_property
    def digest(self) -> str:
        """Of weights and input size."""
        return f"{state_digest(self.weights.state)} {self.img_size}"

    def build(self) -> nn.Module:
        """The network with its weights."""
        network = build_detector(self.space.baseline, num_classes=len(self.classes), space=self.space)
        self.weights.fill(network)
        return network


def given_detector(
    weights: SeedWeights, space: SearchSpace, *, classes: tuple[str, ...], img_size: tuple[int, int]
) -> GivenDetector | None:
    """The detector of given weights; None where they are not those of the space's baseline.

    Args:
        weights: of a file, with all or with the wanted classes.
        space: of the search.
        classes: of the data.
        img_size: height and width of its input, pixels.
    """
    full = weights.full
    count = full.num_classes or len(classes)
    if not full.fits(build_detector(space.baseline, num_classes=count, space=space)):
        return None
    names = COCO_CLASSES if full.num_classes == len(COCO_CLASSES) else classes
    if count != len(names) or not set(classes) <= set(names):
        return None
    return GivenDetector(
        weights=full,
        space=space,
        img_size=img_size,
        classes=tuple(names),
        class_indexes=tuple(names.index(name) for name in classes),
    )
