"""The given detector as a candidate: the steps of a trial measure it without training."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import nn

from mlflow_nas.data import DetectionDataModule
from mlflow_nas.trial.candidate import Candidate
from mlflow_nas.trial.given import AS_GIVEN, GivenDetector
from mlflow_nas.trial.given_file import GivenFile
from mlflow_nas.types import Limit

__all__ = ["GivenCandidate"]


@dataclass(kw_only=True, eq=False)
class GivenCandidate(Candidate):
    """The detector as it was given: its own weights, classes and input size; no limit applies to it."""

    @property
    def given(self) -> GivenDetector | GivenFile:
        """Of the study."""
        if self.context.given is None:
            raise ValueError("the study has no given detector")
        return self.context.given

    @property
    def key(self) -> str:
        """Name of its row."""
        return AS_GIVEN

    @property
    def trained_digest(self) -> str:
        """Digest of its weights."""
        return self.given.digest

    @property
    def img_size(self) -> tuple[int, int]:
        """Height and width of its own input, pixels."""
        return self.given.img_size

    @property
    def classes(self) -> Sequence[str]:
        """All that it detects."""
        return self.given.classes

    @property
    def class_indexes(self) -> Sequence[int]:
        """Its indexes of the data's classes."""
        return self.given.class_indexes

    @property
    def limits(self) -> Sequence[Limit]:
        """None."""
        return ()

    @property
    def max_int8_drop(self) -> float:
        """Any: what int8 costs it is a part of the comparison."""
        return 1.0

    @cached_property
    def network(self) -> nn.Module:
        """With its weights."""
        if isinstance(self.given, GivenFile):
            raise TypeError(f"{self.given.path} is a file, no network")
        return self.given.build()

    @cached_property
    def data(self) -> DetectionDataModule:
        """Both splits at its input's size."""
        return self.context.data_at(self.img_size)

    @property
    def final_network(self) -> nn.Module:
        """The network itself."""
        return self.network
