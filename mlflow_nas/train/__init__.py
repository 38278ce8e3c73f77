"""Training of one network with Lightning."""

from mlflow_nas.train.failures import classify
from mlflow_nas.train.features import fit_in_memory
from mlflow_nas.train.fit import TrainResult, fit
from mlflow_nas.train.kept_norms import kept_norms
from mlflow_nas.train.module import NetworkModule
from mlflow_nas.train.processor import default_threads, free_cores, torch_threads, training_processor
from mlflow_nas.train.recipe import (
    Freeze,
    Parts,
    Recipe,
    RecipeName,
    fastestdet_recipe,
    fine_tuning,
    named_recipe,
)
from mlflow_nas.train.resume import TrainingInterrupt
from mlflow_nas.train.statistics import retake_statistics
from mlflow_nas.train.teacher import Teacher
from mlflow_nas.train.trainer import TrainerSettings

__all__ = [
    "Freeze",
    "NetworkModule",
    "Parts",
    "Recipe",
    "RecipeName",
    "Teacher",
    "TrainResult",
    "TrainerSettings",
    "TrainingInterrupt",
    "classify",
    "default_threads",
    "fastestdet_recipe",
    "fine_tuning",
    "fit",
    "fit_in_memory",
    "free_cores",
    "kept_norms",
    "named_recipe",
    "retake_statistics",
    "torch_threads",
    "training_processor",
]
