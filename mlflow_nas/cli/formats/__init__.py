"""Results as text for the terminal."""

from mlflow_nas.cli.formats.boards import format_boards, format_doctor
from mlflow_nas.cli.formats.cache import format_cache
from mlflow_nas.cli.formats.data import format_data_check
from mlflow_nas.cli.formats.deployment import (
    format_deploy,
    format_hook,
    format_pin,
    format_promote,
    format_publish,
    format_register,
    format_rollback,
    format_watch,
)
from mlflow_nas.cli.formats.plan import format_plan
from mlflow_nas.cli.formats.profile import format_focus, format_profile, format_sensitivity
from mlflow_nas.cli.formats.report import format_compare, format_report
from mlflow_nas.cli.formats.runtimes import format_runtimes
from mlflow_nas.cli.formats.search import format_evaluate, format_search, format_status, format_train
from mlflow_nas.cli.formats.select import format_select
from mlflow_nas.cli.formats.table import format_table, format_ui

__all__ = [
    "format_boards",
    "format_cache",
    "format_compare",
    "format_data_check",
    "format_deploy",
    "format_doctor",
    "format_evaluate",
    "format_focus",
    "format_hook",
    "format_pin",
    "format_plan",
    "format_profile",
    "format_promote",
    "format_publish",
    "format_register",
    "format_report",
    "format_rollback",
    "format_runtimes",
    "format_search",
    "format_select",
    "format_sensitivity",
    "format_status",
    "format_table",
    "format_train",
    "format_ui",
    "format_watch",
]
