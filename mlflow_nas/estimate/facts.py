"""What strategies know of several architectures; none of it is their measured quality.

Shapes: n architectures, d numbers of the encoding, q numbers of a learning curve.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.estimate.contract import Floats

__all__ = ["Facts", "nothing"]


def nothing(n: int) -> Floats:
    """No numbers of n architectures: [n, 0]."""
    return np.empty((n, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of n architectures, a row each.

    Attributes:
        encoding: the choices as numbers [n, d].
        complexity: log MACs and log parameters [n, 2], or [n, 0].
        scores: name to scores [n], higher is better, NaN is missing.
        zero_cost: which of the scores models see as zero-cost features.
        curve: the first epochs in numbers [n, q]; [n, 0] without.
        spreads: name to standard deviations over the weight seeds [n]; NaN where there is a single seed.
        seeds: how many weight seeds a score averages.
        seconds: name to seconds that the score of one architecture took; without a name when unknown.
        curve_s: seconds that the first epochs of one architecture take; None when unknown.
    """

    encoding: Floats
    complexity: Floats
    scores: Mapping[str, Floats]
    zero_cost: tuple[str, ...]
    curve: Floats
    spreads: Mapping[str, Floats] = field(default_factory=dict)
    seeds: int = 1
    seconds: Mapping[str, float] = field(default_factory=dict)
    curve_s: float | None = None

    def __len__(self) -> int:
        return len(self.encoding)

    def take(self, rows: NDArray[np.intp]) -> "Facts":
        """The architectures of these rows, in this order."""
        return replace(
            self,
            encoding=self.encoding[rows],
            complexity=self.complexity[rows],
            scores={name: values[rows] for name, values in self.scores.items()},
            curve=self.curve[rows],
            spreads={name: values[rows] for name, values in self.spreads.items()},
        )

    def joined(self, more: "Facts") -> "Facts":
        """These architectures, then those of more, of which the same is known."""
        share = len(more) / (len(self) + len(more))
        return replace(
            self,
            encoding=np.concatenate([self.encoding, more.encoding]),
            complexity=np.concatenate([self.complexity, more.complexity]),
            scores={name: np.concatenate([own, more.scores[name]]) for name, own in self.scores.items()},
            curve=np.concatenate([self.curve, more.curve]),
            spreads={name: np.concatenate([own, more.spreads[name]]) for name, own in self.spreads.items()},
            seconds={
                name: (1 - share) * own + share * more.seconds[name] for name, own in self.seconds.items()
            },
        )

    def columns(self, names: tuple[str, ...]) -> Floats:
        """Several scores side by side: [n, names]."""
        return np.stack([self.scores[name] for name in names], axis=1) if names else nothing(len(self))
