"""Drawn scenes of people-like figures with exact boxes; the same seed draws the same scenes."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from numpy.random import default_rng

from mlflow_nas.data.dataset import DetectionDataset
from mlflow_nas.data.formats.annotation import MissingSplitError
from mlflow_nas.data.formats.uri_options import parse_options, whole_number
from mlflow_nas.data.names import unknown_name
from mlflow_nas.data.sample import Split
from mlflow_nas.data.scene import draw_scene
from mlflow_nas.errors import ConfigError

__all__ = ["SyntheticOptions", "load_synthetic"]

_CLASS = "person"
_BOUNDS = {
    "train": (1, 10_000),
    "val": (1, 10_000),
    "test": (0, 10_000),
    "seed": (0, 2**31),
    "size": (64, 1024),
}
_MAX_BYTES = 2 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticOptions:
    """Options of ``synthetic:``.

    Attributes:
        train: images of the training split.
        val: images of the validation split.
        test: images of the test split; 0 for none.
        seed: of all drawing.
        size: height and width of the images, in pixels.
    """

    train: int = 112
    val: int = 32
    test: int = 0
    seed: int = 0
    size: int = 320

    @classmethod
    def parse(cls, text: str) -> "SyntheticOptions":
        """Read ``train=112,val=32,test=0,seed=0,size=320``; all are optional.

        Raises:
            ConfigError: an option is unknown or out of bounds, or the images would not fit in memory.
        """
        given = parse_options(text, known=[field.name for field in fields(cls)])
        numbers = {
            name: whole_number(name, value, low=_BOUNDS[name][0], high=_BOUNDS[name][1])
            for name, value in given.items()
        }
        options = cls(**numbers)
        needed = (options.train + options.val + options.test) * options.size**2 * 3
        if needed > _MAX_BYTES:
            raise ConfigError(
                f"data synthetic:{text} takes {needed} bytes of memory, {_MAX_BYTES} is the most; "
                "lower train, val, test or size"
            )
        return options


def load_synthetic(location: str, split: Split, classes: Sequence[str]) -> DetectionDataset:
    """Draw one split, into memory.

    Args:
        location: options, see ``SyntheticOptions``.
        split: the splits share no scene.
        classes: only "person" exists.

    Raises:
        ConfigError: an option or a class is unknown or out of bounds.
    """
    for name in classes:
        if name != _CLASS:
            raise ConfigError(f"data synthetic: {unknown_name('class', name, (_CLASS,))}")
    options = SyntheticOptions.parse(location)
    counts = {"train": options.train, "val": options.val, "test": options.test}
    count, stream = counts[split], list(counts).index(split)
    if not count:
        raise MissingSplitError(f"data synthetic:{location}: no {split} split; give {split}=8, for example")
    records = []
    for index in range(count):
        # Image by image, so that a larger split begins with the scenes of a smaller one.
        rng = default_rng((options.seed, stream, index))
        records.append(draw_scene(rng, size_px=options.size, image_id=f"{split}-{index:05d}"))
    uri = f"synthetic:{location}" if location else "synthetic"
    return DetectionDataset(records, name="synthetic", uri=uri, classes=classes)
