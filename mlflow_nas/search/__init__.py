"""The search: candidates asked, measured, written down, concluded."""

from mlflow_nas.search.ask import tried
from mlflow_nas.search.book import StudyBook
from mlflow_nas.search.conclude import Conclusion, conclude, publish
from mlflow_nas.search.data_log import log_data
from mlflow_nas.search.estimated import Estimated, account_full, search_estimated
from mlflow_nas.search.focus import Acting, Focus, focus, most_covering
from mlflow_nas.search.limits import EstimateOptions
from mlflow_nas.search.lock import study_lock
from mlflow_nas.search.planner import Decision, choose_sampler
from mlflow_nas.search.progress import Progress, Silent
from mlflow_nas.search.samplers import SamplerName, open_storage, open_study
from mlflow_nas.search.schedule import default_epochs
from mlflow_nas.search.selecting import StudySelection
from mlflow_nas.search.study import Search
from mlflow_nas.search.trial import Candidate, evaluate_candidate, failed_evaluation
from mlflow_nas.search.workbench import Workbench

__all__ = [
    "Acting",
    "Candidate",
    "Conclusion",
    "Decision",
    "EstimateOptions",
    "Estimated",
    "Focus",
    "Progress",
    "SamplerName",
    "Search",
    "Silent",
    "StudyBook",
    "StudySelection",
    "Workbench",
    "account_full",
    "choose_sampler",
    "conclude",
    "default_epochs",
    "evaluate_candidate",
    "failed_evaluation",
    "focus",
    "log_data",
    "most_covering",
    "open_storage",
    "open_study",
    "publish",
    "search_estimated",
    "study_lock",
    "tried",
]
