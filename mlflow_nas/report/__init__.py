"""Figures, tables and descriptions of results."""

from mlflow_nas.report.detections import draw_boxes
from mlflow_nas.report.front import front_of
from mlflow_nas.report.pareto_figure import pareto_html, pareto_png
from mlflow_nas.report.profile_figure import profile_png
from mlflow_nas.report.selection_figure import selection_description, selection_png
from mlflow_nas.report.speedup import FULL, SearchCosts, speedup_table
from mlflow_nas.report.tables import study_description, table_columns

__all__ = [
    "FULL",
    "SearchCosts",
    "draw_boxes",
    "front_of",
    "pareto_html",
    "pareto_png",
    "profile_png",
    "selection_description",
    "selection_png",
    "speedup_table",
    "study_description",
    "table_columns",
]
