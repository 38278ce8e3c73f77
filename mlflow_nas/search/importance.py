"""Importance of the choices for each objective.

fANOVA: Hutter, Hoos and Leyton-Brown, An Efficient Approach for Assessing Hyperparameter Importance, ICML
2014 (proceedings.mlr.press/v32/hutter14).
"""

import logging
import warnings
from collections.abc import Mapping

import optuna
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import TrialState

from mlflow_nas.search.store import StudyStore

__all__ = ["choice_importance"]

_log = logging.getLogger(__name__)

_LEAST = 4
"""Complete trials: with fewer nothing can be told."""


def choice_importance(store: StudyStore) -> dict[str, Mapping[str, float]]:
    """Objective to choice to its share of the variance, the most important first; seed 0.

    Empty for objectives that do not vary, and with fewer than four complete trials of the space.
    """
    known = [one for one in store.study.trials if one.state is TrialState.COMPLETE and one.params]
    if len(known) < _LEAST:
        return {}
    found = {}
    for place, objective in enumerate(store.objectives):
        values = [float(one.values[place]) for one in known]
        if len(set(values)) > 1:
            found[objective.name] = _of_values(known, values)
    return found


def _of_values(trials: list[optuna.trial.FrozenTrial], values: list[float]) -> Mapping[str, float]:
    study = optuna.create_study()
    for trial, value in zip(trials, values, strict=True):
        study.add_trial(
            optuna.create_trial(params=trial.params, distributions=trial.distributions, value=value)
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
