"""The forecast of a search: measured durations of its parts, and the ways through it within a budget."""

from mlflow_nas.search.forecast.forecast import Forecast, known_timings, make_forecast
from mlflow_nas.search.forecast.routes import Route, Workload, make_routes, recommend
from mlflow_nas.search.forecast.spans import Span, extrapolate, format_duration
from mlflow_nas.search.forecast.timings import Timings, measure_timings, time_training

__all__ = [
    "Forecast",
    "Route",
    "Span",
    "Timings",
    "Workload",
    "extrapolate",
    "format_duration",
    "known_timings",
    "make_forecast",
    "make_routes",
    "measure_timings",
    "recommend",
    "time_training",
]
