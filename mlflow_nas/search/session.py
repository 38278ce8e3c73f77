"""A study, opened by one process: its context, its storage and its mirror in MLflow."""

import json
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import optuna

from mlflow_nas.config import SearchConfig, as_params, cache_limit_bytes, work_root
from mlflow_nas.errors import ConfigError
from mlflow_nas.search.baseline_check import baseline_checks
from mlflow_nas.search.claims import Claims
from mlflow_nas.search.context import StudyConfig, open_context
from mlflow_nas.search.dataset_links import dataset_links
from mlflow_nas.search.early_stopping import callbacks_of, open_halving
from mlflow_nas.search.float_reference import time_float_reference
from mlflow_nas.search.loop import Callback, Loop
from mlflow_nas.search.mirroring import MirrorCallback, publish_model, trial_run
from mlflow_nas.search.once import once
from mlflow_nas.search.sampler_choice import Decision, decide_sampler, number_of_trials
from mlflow_nas.search.samplers import Proposer, Sampling, make_sampler
from mlflow_nas.search.seed import lacks_seed_network, with_seed_network
from mlflow_nas.search.storage import open_storage
from mlflow_nas.search.store import Claim, StudyStore, open_study
from mlflow_nas.tracking import Mirror, StudyRun, TrialRun, default_uri
from mlflow_nas.train import free_cores
from mlflow_nas.trial import (
    Listener,
    StepCache,
    StudyContext,
    measure_given,
    reference_latency_ms,
    run_again,
    run_trial,
)
from mlflow_nas.types import Architecture, Role, TrialResult

__all__ = ["Session", "load_store", "open_cache", "open_session", "study_folder"]

_log = logging.getLogger(__name__)

_ATTEMPTS = 2
"""Further measurements of an unstable latency."""
GIVEN = "nas.given"
"""Attribute of the study: the result of the detector as it was given."""


def open_cache() -> StepCache:
    """The step cache of this machine."""
    return StepCache(work_root() / "cache", limit_bytes=cache_limit_bytes())


@dataclass(kw_only=True)
class Session:
    """A study that this process evaluates trials of.

    Attributes:
        config: of the command.
        context: what the trials share.
        store: the study in Optuna's storage.
        claims: hands out its trials.
        mirror: into MLflow.
        sampler: the choice of the sampler and its reason.
    """

    config: StudyConfig
    context: StudyContext
    store: StudyStore
    claims: Claims
    mirror: Mirror
    sampler: Decision

    def prepare(self, listener: Listener) -> None:
        """Train the seed network, time the reference model and its float file: once per study, by one worker.

        Raises:
            CandidateError: the seed network can't be trained; BoardError: the board failed.
        """
        self.context = with_seed_network(
            self.context,
            self.store,
            epochs=self.config.training.seed_epochs,
            listener=listener,
            on_trained=self._log_seed,
        )
        listener.step("reference latency")
        reference_ms = once(
            self.store, "nas.reference_latency_ms", lambda: reference_latency_ms(self.context)
        )
        self.context = replace(self.context, reference_ms=float(reference_ms))
        if self.context.precision == "int8" and self.context.runs_onnx:
            listener.step("float latency")
            time_float_reference(self.context, self.store, self.mirror)
        if self.context.given is not None:
            listener.step("detector as given")
            once(self.store, GIVEN, lambda: self._measure_given(listener).as_json())
            given = self._stable_given(listener)
            if given is not None and "latency_ratio" in given.metrics:
                self.context = replace(self.context, given_ratio=given.metrics["latency_ratio"])

    def _stable_given(self, listener: Listener) -> TrialResult | None:
        """The detector as given; an unstable latency is measured anew, a few times in each call."""
        given = self.given()
        for _ in range(_ATTEMPTS):
            if given is None or not given.latency_unstable:
                break
            given = self._measure_given(listener)
            self.store.keep(GIVEN, given.as_json())
        return given

    def given(self) -> TrialResult | None:
        """The detector as it was given, measured before any training; None without one."""
        known = self.store.value(GIVEN)
        return None if known is None else TrialResult.from_json(known)

    def _measure_given(self, listener: Listener) -> TrialResult:
        result = measure_given(self.context, listener)
        if "speedup" in result.metrics:  # every speed-up is relative to this detector
            result = replace(result, metrics={**result.metrics, "speedup": 1.0})
        self.mirror.start_trial(self.run_of(result))
        self.mirror.finish_trial(self.run_of(result), result)
        if result.state == "complete":
            self.publish(result)
        else:
            _log.warning("The detector as given can't be measured: %s", result.error)
        return result

    def run_of(self, result: TrialResult) -> TrialRun:
        """The MLflow run of a result."""
        return trial_run(self.context, result.architecture, role=result.role, number=result.number)

    def _log_seed(self, result: TrialResult) -> None:
        run = trial_run(self.context, result.architecture, role="seed")
        self.mirror.start_trial(run)
        self.mirror.log_step(run, "train", result.artefacts["weights"].parent)
        self.mirror.finish_trial(run, result)

    def loop(
        self, callbacks: Sequence[Callback] = (), *, may_begin: Callable[[int], bool], waits: bool = True
    ) -> Loop:
        """A worker of the study in this process."""
        mirroring = MirrorCallback(context=self.context, store=self.store, mirror=self.mirror)
        stopping = callbacks_of(self.context, self.claims.halving)
        return Loop(
            claims=self.claims,
            evaluate=self._evaluate,
            callbacks=[mirroring, *self._checks(), *callbacks, *stopping],
            may_begin=may_begin,
            board=self.context.board.name,
            waits=waits,
        )

    def _checks(self) -> list[Callback]:
        """Of the baseline against the detector as given, where there is one."""
        given, objectives = self.given(), self.context.objectives
        if given is None or not isinstance(self.config, SearchConfig):
            return []
        return baseline_checks(given, objectives, max_drop=self.config.registry.max_drop)

    def _evaluate(self, claim: Claim, listener: Listener) -> TrialResult:
        return run_trial(
            self.context,
            claim.architecture,
            role=self.role_of(claim.architecture),
            number=claim.number,
            listener=listener,
        )

    def role_of(self, architecture: Architecture) -> Role:
        """Of a trial of the study."""
        return "baseline" if architecture == self.context.space.baseline else "trial"

    def with_files(self, result: TrialResult) -> TrialResult:
        """A result with its files on this machine; missing ones are computed again."""
        if result.state != "complete" or all(path.is_file() for path in result.artefacts.values()):
            return result
        return replace(result, artefacts=run_again(self.context, result).artefacts)

    def publish(self, result: TrialResult) -> None:
        """Log the model of a finished trial, unless it is logged."""
        publish_model(self.context, self.mirror, self.run_of(result), result)

    def close(self) -> None:
        """Close the board and the mirror; events that are not delivered wait in the outbox."""
        self.mirror.close()
        self.context.board.close()


def study_folder(study: str) -> Path:
    """Folder of a study's journal on this machine."""
    return work_root() / "studies" / study


def load_store(study: str, storage: str | None) -> StudyStore:
    """The store of an existing study, to read it.

    Raises:
        ConfigError: the storage can't be opened, or has no such study.
    """
    folder = study_folder(study)
    if storage is None and not folder.is_dir():
        raise _unknown(study, [one.name for one in folder.parent.glob("*/")])
    opened = open_storage(storage, folder)
    try:
        return StudyStore(study=optuna.load_study(study_name=study, storage=opened))
    except KeyError as error:
        raise _unknown(study, [one.study_name for one in opened.get_all_studies()]) from error


def _unknown(study: str, known: Sequence[str]) -> ConfigError:
    return ConfigError(
        f"There is no study {study!r} in this storage, known are {', '.join(sorted(known)) or 'none'}: give "
        "--study, and the --storage of its search."
    )


def open_session(
    config: StudyConfig,
    *,
    project_run: str | None = None,
    params: Mapping[str, str] | None = None,
    index: int = 0,
    workers: int = 1,
    parent: int | None = None,
) -> Session:
    """Open or create a study.

    Args:
        config: of the command.
        project_run: the run that `mlflow run` created, or None.
        params: of the study's run; None for the whole configuration.
        index: of this worker among those of one call.
        workers: number of workers of one call, which share the cores.
        parent: process without which this one ends; None for none.

    Raises:
        ConfigError: data, weights, board or storage can't be used, or the study was made with other ones.
    """
    name, cache = str(config.study), open_cache()
    folder = study_folder(name)
    context = open_context(config, cache=cache)
    if workers > 1 and context.threads is None:
        context = replace(context, threads=max(free_cores() // workers, 1))
    storage = open_storage(config.search.storage, folder)
    sampler_name, decision = decide_sampler(config, context.space.size)
    study = open_study(name, storage=storage, objectives=context.objectives)
    # A continued study and each worker draw with other seeds, or they would propose the same again.
    seed = config.seed + index + len(study.get_trials(deepcopy=False))
    sampling = Sampling(context.space, number_of_trials(config), seed, len(context.objectives))
    proposer = Proposer(make_sampler(sampler_name, sampling), context.space, seed=seed)
    store = StudyStore(study=study, parent=parent)
    seed_epochs = config.training.seed_epochs if lacks_seed_network(context) else 0
    store.fix({**context.fixed_inputs(), "seed_epochs": seed_epochs})
    mirror = _open_mirror(config, context, store, project_run, params)
    cache.fetch = mirror.fetch_step
    claims = Claims(
        store=store,
        space=context.space,
        proposer=proposer,
        lock=folder / "claims.lock",
        halving=open_halving(config, context, store),
    )
    return Session(
        config=config, context=context, store=store, claims=claims, mirror=mirror, sampler=decision
    )


def _open_mirror(
    config: StudyConfig,
    context: StudyContext,
    store: StudyStore,
    project_run: str | None,
    params: Mapping[str, str] | None,
) -> Mirror:
    uid = str(once(store, "nas.uid", lambda: uuid.uuid4().hex))
    return Mirror(
        tracking_uri=default_uri(),
        folder=work_root() / "outbox" / uid,
        study=StudyRun(
            experiment=config.tracking.experiment,
            study=str(config.study),
            uid=uid,
            params=as_params(config) if params is None else params,
            tags={
                **context.tags,
                "nas.choices": context.space.describe(),
                "nas.skipped_images": str(context.skipped_images),
                "nas.data_findings": json.dumps(context.val.findings.counts),
            },
            datasets=dataset_links(context),
            project_run_id=project_run,
        ),
        objectives=[one.name for one in context.objectives],
    )
