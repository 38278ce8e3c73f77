"""Options of a search by an estimate."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal

from mlflow_nas.estimate import Strategy
from mlflow_nas.search.estimation.study import Context

__all__ = ["EstimateOptions"]


@dataclass(frozen=True, kw_only=True)
class EstimateOptions:
    """How a search uses an estimate.

    Attributes:
        strategy: a row of the table.
        candidates: number of candidates to score.
        top_k: number of candidates to train.
        max_per_combination: largest number of these that differ in their sizes only.
        latency: predicted by a model, or measured for every candidate within the limits of counts.
        latency_samples: latencies that the model is fitted on, those of trials included.
    """

    strategy: Strategy
    candidates: int = 2_000
    top_k: int = 8
    max_per_combination: int = 2
    latency: Literal["predict", "measure"] = "predict"
    latency_samples: int = 24

    def digest(self, context: Context) -> str:
        """Fingerprint of everything that determines the shortlist of a study."""
        settings = {name: getattr(self, name) for name in self.__dataclass_fields__}
        settings |= {"strategy": self.strategy.name, "seed": context.seed}
        settings["limits"] = [str(limit) for limit in context.limits]
        settings["objectives"] = [asdict(objective) for objective in context.objectives]
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
