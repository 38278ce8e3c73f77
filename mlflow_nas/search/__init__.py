"""The search: workers that claim, evaluate and store trials; estimates; the report of a study."""

from mlflow_nas.search.conclude import Conclusion, conclude
from mlflow_nas.search.context import StudyConfig, open_context
from mlflow_nas.search.dataset_links import dataset_links
from mlflow_nas.search.engines import LOST, Engine, make_executor
from mlflow_nas.search.estimation import (
    EstimatedResult,
    EstimateOptions,
    StudySelection,
    full_cost,
    search_estimated,
)
from mlflow_nas.search.executors import Executor
from mlflow_nas.search.finalists import choose_finalists
from mlflow_nas.search.float_reference import no_faster_in_int8
from mlflow_nas.search.focus import Coverage, Focus, ParameterSaving, coverage, focus, most_covering
from mlflow_nas.search.loop import Callback, Evaluate, Loop
from mlflow_nas.search.mirroring import trial_run
from mlflow_nas.search.plan import Plan
from mlflow_nas.search.progress import NoProgress, Progress
from mlflow_nas.search.sampler_choice import Decision, choose_sampler
from mlflow_nas.search.search import Search
from mlflow_nas.search.seed import has_seed_network, seeded
from mlflow_nas.search.session import (
    Session,
    load_store,
    open_cache,
    open_session,
    study_folder,
)
from mlflow_nas.search.storage import storage_name
from mlflow_nas.search.store import Claim, StudyStore
from mlflow_nas.search.stored import stored_costs
from mlflow_nas.search.study_report import load_study_report
from mlflow_nas.search.training_batch import log_training_batch

__all__ = [
    "LOST",
    "Callback",
    "Claim",
    "Conclusion",
    "Coverage",
    "Decision",
    "Engine",
    "EstimateOptions",
    "EstimatedResult",
    "Evaluate",
    "Executor",
    "Focus",
    "Loop",
    "NoProgress",
    "ParameterSaving",
    "Plan",
    "Progress",
    "Search",
    "Session",
    "StudyConfig",
    "StudySelection",
    "StudyStore",
    "choose_finalists",
    "choose_sampler",
    "conclude",
    "coverage",
    "dataset_links",
    "focus",
    "full_cost",
    "has_seed_network",
    "load_store",
    "load_study_report",
    "log_training_batch",
    "make_executor",
    "most_covering",
    "no_faster_in_int8",
    "open_cache",
    "open_context",
    "open_session",
    "search_estimated",
    "seeded",
    "storage_name",
    "stored_costs",
    "study_folder",
    "trial_run",
]
