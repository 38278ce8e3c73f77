"""Training of one network with Lightning."""

from mlflow_nas.train.distillation import Teacher, TeacherTargets
from mlflow_nas.train.failures import classify
from mlflow_nas.train.features import fit_in_memory
from mlflow_nas.train.fit import TrainResult, fit
from mlflow_nas.train.module import DetectorModule
from mlflow_nas.train.processor import default_threads, free_cores, torch_threads, training_processor
from mlflow_nas.train.recipe import Freeze, Recipe, RecipeName, fastestdet_recipe, fine_tuning, named_recipe
from mlflow_nas.train.statistics import retake_statistics

__all__ = [
    "DetectorModule",
    "Freeze",
    "Recipe",
    "RecipeName",
    "Teacher",
    "TeacherTargets",
    "TrainResult",
    "classify",
    "default_threads",
    "fastestdet_recipe",
    "fine_tuning",
    "fit",
    "fit_in_memory",
    "free_cores",
    "named_recipe",
    "retake_statistics",
    "torch_threads",
    "training_processor",
]
