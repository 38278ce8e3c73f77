"""Figures, tables and descriptions of results."""

from mlflow_nas.report.clip import FramePanel, draw_frame, panel_height, write_gif
from mlflow_nas.report.compared_images import ComparedImage, compare_images
from mlflow_nas.report.comparison_page import write_comparison_page
from mlflow_nas.report.detections import draw_boxes
from mlflow_nas.report.front import front_of
from mlflow_nas.report.matching import ImageMatch, Matches, match_detections
from mlflow_nas.report.pareto_figure import pareto_png
from mlflow_nas.report.profile_figure import profile_png
from mlflow_nas.report.selection_figure import selection_description, selection_png
from mlflow_nas.report.sensitivity_figure import sensitivity_png
from mlflow_nas.report.speedup import FULL, SearchCosts, speedup_table
from mlflow_nas.report.study import StudyReport
from mlflow_nas.report.study_page import write_study_page
from mlflow_nas.report.tables import study_description, table_columns

__all__ = [
    "FULL",
    "ComparedImage",
    "FramePanel",
    "ImageMatch",
    "Matches",
    "SearchCosts",
    "StudyReport",
    "compare_images",
    "draw_boxes",
    "draw_frame",
    "front_of",
    "match_detections",
    "panel_height",
    "pareto_png",
    "profile_png",
    "selection_description",
    "selection_png",
    "sensitivity_png",
    "speedup_table",
    "study_description",
    "table_columns",
    "write_comparison_page",
    "write_gif",
    "write_study_page",
]
