"""One typed function per command; each imports what it needs when it is called."""

from mlflow_nas.api.boards import boards, doctor
from mlflow_nas.api.cache import cache_prune, cache_show
from mlflow_nas.api.compare import CompareResult, compare
from mlflow_nas.api.data_check import DataCheckResult, data_check
from mlflow_nas.api.deploy import deploy
from mlflow_nas.api.evaluate import evaluate
from mlflow_nas.api.focus import focus
from mlflow_nas.api.hooks import watch, webhook_install, webhook_remove, webhook_serve, webhook_test
from mlflow_nas.api.pin import pin
from mlflow_nas.api.plan import plan
from mlflow_nas.api.plan_results import FocusResult, PlanResult, ProfileResult
from mlflow_nas.api.profile import profile
from mlflow_nas.api.promote import promote
from mlflow_nas.api.publish import publish
from mlflow_nas.api.register import register
from mlflow_nas.api.registry_results import (
    HookResult,
    PinResult,
    PublishResult,
    RegisterResult,
    WatchResult,
)
from mlflow_nas.api.report import report
from mlflow_nas.api.report_result import ReportResult
from mlflow_nas.api.results import (
    BoardsResult,
    CacheReport,
    DeployResult,
    DoctorResult,
    EvaluateResult,
    RuntimesResult,
    SearchResult,
    SelectResult,
    SensitivityResult,
    StatusResult,
)
from mlflow_nas.api.rollback import rollback
from mlflow_nas.api.runtimes import runtimes_install
from mlflow_nas.api.search import finish, search
from mlflow_nas.api.select import select
from mlflow_nas.api.sensitivity import sensitivity
from mlflow_nas.api.status import status
from mlflow_nas.api.train import train

__all__ = [
    "BoardsResult",
    "CacheReport",
    "CompareResult",
    "DataCheckResult",
    "DeployResult",
    "DoctorResult",
    "EvaluateResult",
    "FocusResult",
    "HookResult",
    "PinResult",
    "PlanResult",
    "ProfileResult",
    "PublishResult",
    "RegisterResult",
    "ReportResult",
    "RuntimesResult",
    "SearchResult",
    "SelectResult",
    "SensitivityResult",
    "StatusResult",
    "WatchResult",
    "boards",
    "cache_prune",
    "cache_show",
    "compare",
    "data_check",
    "deploy",
    "doctor",
    "evaluate",
    "finish",
    "focus",
    "pin",
    "plan",
    "profile",
    "promote",
    "publish",
    "register",
    "report",
    "rollback",
    "runtimes_install",
    "search",
    "select",
    "sensitivity",
    "status",
    "train",
    "watch",
    "webhook_install",
    "webhook_remove",
    "webhook_serve",
    "webhook_test",
]
