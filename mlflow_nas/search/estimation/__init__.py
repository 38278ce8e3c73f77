"""Searches by an estimate: samples, selection of a strategy, shortlist, costs."""

from mlflow_nas.search.estimation.estimated import COSTS, EstimatedResult, full_cost, search_estimated
from mlflow_nas.search.estimation.options import EstimateOptions
from mlflow_nas.search.estimation.shortlist import Shortlist
from mlflow_nas.search.estimation.study import Context, Study
from mlflow_nas.search.estimation.study_selection import SELECTION_SECONDS, StudySelection

__all__ = [
    "COSTS",
    "SELECTION_SECONDS",
    "Context",
    "EstimateOptions",
    "EstimatedResult",
    "Shortlist",
    "Study",
    "StudySelection",
    "full_cost",
    "search_estimated",
]
