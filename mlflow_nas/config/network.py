"""Sections of the configuration about the network: its search space and the shape of its input."""

from pydantic import Field

from mlflow_nas.config.fields import Aspect, Choices, Section, Text, option, written
from mlflow_nas.errors import ConfigError

__all__ = ["NetworkSection", "SpaceSection"]


class NetworkSection(Section):
    """Network: the search space and the shape of its input."""

    name: Text = Field(
        "fastestdet-head",
        description="Search space: fastestdet-head, chain, multi-branch, cell, or FILE.py:NAME; search: auto "
        "takes what `focus` suggests",
        json_schema_extra=option("space", form="fastestdet-head|chain|multi-branch|cell|auto|FILE.py:NAME"),
    )
    aspect: Aspect = Field(
        "square",
        description="Width / height of the network's input; auto: the median of the training images",
        json_schema_extra=written("auto|square|NUMBER"),
    )

    def aspect_number(self, of_images: float | None = None) -> float:
        """`aspect` as a number.

        Args:
            of_images: median of the training images; None where the command reads none.

        Raises:
            ConfigError: it is auto, and the command reads no training images.
        """
        if self.aspect == "square":
            return 1.0
        if self.aspect != "auto":
            return float(self.aspect)
        if of_images is None:
            raise ConfigError(
                "space.aspect=auto needs training images, and this command reads none: give the number, such "
                "as space.aspect=1.33, or the input's height with --arch img_height=240."
            )
        return of_images


class SpaceSection(NetworkSection):
    """Network: the search space and the shape of its input."""

    choices: Choices = Field(
        (),
        description="Fewer choices, written space.NAME=A,B or space.NAME=FIRST..LAST:STEP, such as "
        "space.channels=24..64:8; space.img_height=192..320:32 makes the input's height a choice",
    )
