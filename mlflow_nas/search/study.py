"""The loop: ask, evaluate, write down, tell."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import optuna
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, TrialState

from mlflow_nas.errors import BoardError, CandidateError, ConfigError, NasError
from mlflow_nas.report import front_of
from mlflow_nas.search.ask import (
    KEY,
    ORIGIN,
    OUTCOME,
    RUN_ID,
    architecture_of,
    ask,
    ask_for,
    owed,
    settled,
    tried,
)
from mlflow_nas.search.book import StudyBook
from mlflow_nas.search.conclude import publish
from mlflow_nas.search.planner import judge_budget
from mlflow_nas.search.progress import Progress
from mlflow_nas.search.seed import needs_seed_network, with_seed_network
from mlflow_nas.search.trial import Candidate, evaluate_candidate, failed_evaluation
from mlflow_nas.search.workbench import Workbench
from mlflow_nas.types import Architecture, Evaluation

__all__ = ["Search"]

_log = logging.getLogger(__name__)

BOARD_FAILURES = 2
"""So many hardware failures in a row stop the search."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """A study on its bench.

    Attributes:
        study: Optuna's study; its objectives are map (max) and latency_ms (min).
        bench: what the trials share.
        book: where they are written down.
        progress: told what happens.
        seed_epochs: of the seed network's training; 0 for none.
        budget_s: no trial begins that would end later, counted from the first of this call; None for no end.
        chosen_by: the strategy whose estimate chooses the trials; None for the sampler.
    """

    study: optuna.Study
    bench: Workbench
    book: StudyBook
    progress: Progress
    seed_epochs: int
    budget_s: float | None = None
    chosen_by: str | None = None

    def run(self, trials: int) -> list[Evaluation]:
        """Go on until the study has so many trials, the baseline and failed ones included.

        What the board failed to measure does not count: it is measured later, without a second training.

        Returns:
            Every evaluation of the study, also those of earlier calls.

        Raises:
            BoardError: two hardware failures in a row.
            RegistryError: MLflow does not answer; the same call continues the study later.
        """
        self.resume()
        done = len(settled(self.study))
        if done < trials:
            self._seeded(trials, done)._go_on(trials - done, self._ask)
        return self.book.evaluations()

    def resume(self) -> list[Evaluation]:
        """Put in order what a killed process left, and read the study's evaluations.

        Raises:
            ConfigError: one half of the study is missing.
            RegistryError: MLflow does not answer.
        """
        self._recover()
        self._refuse_half(len(tried(self.study)))
        return self.book.evaluations()

    def train(
        self, wanted: Sequence[Architecture], *, count: int, chosen_by: str | None = None
    ) -> list[Evaluation]:
        """Evaluate the baseline, then the first of a list until so many of it are trained.

        Args:
            wanted: best first; longer than `count`, as some may miss the latency limit.
            count: so many are trained, counting those of earlier calls.
            chosen_by: the strategy that made the list; None when chance did.

        Returns:
            Every evaluation of the study.

        Raises:
            BoardError: two hardware failures in a row.
            RegistryError: MLflow does not answer; the same call continues the study later.
        """
        self.resume()
        done = len(settled(self.study))
        following = partial(ask_for, self.study, self.bench.space, wanted, count=count)
        search = replace(self._seeded(done + count, done), chosen_by=chosen_by)
        search._go_on(1 + len(wanted), following)
        return self.book.evaluations()

    def _ask(self) -> optuna.Trial | None:
        """What the sampler suggests next."""
        trial = ask(self.study, self.bench.space, seed=self.bench.seed)
        if trial is None:
            _log.warning("All %d architectures of the space are evaluated.", self.bench.space.size)
        return trial

    def _seeded(self, trials: int, done: int) -> "Search":
        """The search with the weights that its candidates inherit."""
        epochs = self.seed_epochs if needs_seed_network(self.bench, self.book) else 0
        self.progress.study(trials=trials, done=done, epochs=self.bench.epochs, seed_epochs=epochs)
        bench = with_seed_network(self.bench, self.book, epochs=self.seed_epochs, on_step=self.progress.step)
        return replace(self, bench=bench)

    def _go_on(self, trials: int, following: Callable[[], optuna.Trial | None]) -> None:
        failures_in_a_row = 0
        began = time.monotonic()
        for done in range(trials):
            if not self._fits(trials, done, time.monotonic() - began):
                break
            trial = following()
            if trial is None:
                break
            error = self._run_trial(trial)
            failures_in_a_row = failures_in_a_row + 1 if isinstance(error, BoardError) else 0
            if error and failures_in_a_row == BOARD_FAILURES:
                raise BoardError(
                    f"{BOARD_FAILURES} hardware failures in a row on board {self.bench.board.name}, "
                    f"the last: {error} Mend the board and run the same command: the study continues."
                ) from error

    def _fits(self, trials: int, done: int, elapsed_s: float) -> bool:
        """Whether one more trial fits into the budget; says after the first what the budget is good for."""
        if self.budget_s is None or done == 0:
            return True
        trial_s = elapsed_s / done
        if done == 1:
            judged = judge_budget(trials=trials, trial_s=trial_s, budget_s=self.budget_s)
            _log.warning("%s: %s.", judged.choice, judged.because)
            self.book.note({"nas.plan": judged.choice, "nas.plan_because": judged.because})
        if elapsed_s + trial_s <= self.budget_s:
            return True
        _log.warning("The budget of %.0f s ends the search after %d trials.", self.budget_s, done)
        return False

    def _recover(self) -> None:
        """Tell Optuna what a killed process wrote into MLflow and had no time to tell; begin its rest again.

        The architecture of a trial that was cut off comes next, so that its training goes on where it was;
        then what a board failed to measure, whose training is kept.
        """
        known = {evaluation.run_id: evaluation for evaluation in self.book.evaluations()}
        for trial in self.study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
            evaluation = known.get(str(trial.user_attrs.get(RUN_ID)))
            if evaluation:
                self._tell(trial.number, evaluation)
            else:
                self.study.tell(trial.number, state=TrialState.FAIL)
                if trial.params and architecture_of(trial, self.bench.space) != self.bench.space.baseline:
                    self._ask_again(trial)
        for trial in owed(self.study, self.bench.space):
            self._ask_again(trial)
        self.book.clear_stale()

    def _ask_again(self, trial: FrozenTrial) -> None:
        """Its architecture comes next, whoever chose it then."""
        kept = {name: value for name, value in trial.user_attrs.items() if name in {KEY, ORIGIN}}
        self.study.enqueue_trial(trial.params, user_attrs=kept)

    def _refuse_half(self, done: int) -> None:
        written = len(self.book.evaluations())
        if (done > 0) != (written > 0):
            raise ConfigError(
                f"Study {self.book.study} has {done} trials in Optuna's storage and {written} in MLflow: "
                "one of them was moved or removed. Bring it back, or choose another --study."
            )

    def _run_trial(self, trial: optuna.Trial) -> NasError | None:
        space = self.bench.space
        architecture = architecture_of(trial, space)
        key = space.key(architecture)
        is_baseline = architecture == space.baseline
        origin = trial.user_attrs.get(ORIGIN) or self._origin(is_baseline=is_baseline)
        run_id = self.book.start(trial.number, key, is_baseline=is_baseline, **origin)
        trial.set_user_attr(KEY, key)
        trial.set_user_attr(ORIGIN, origin)
        trial.set_user_attr(RUN_ID, run_id)
        self.progress.trial(trial.number, architecture)
        candidate = Candidate(architecture=architecture, bench=self.bench, number=trial.number, run_id=run_id)
        began = time.monotonic()
        evaluation, error = self._attempt(candidate)
        # A training that was kept took its seconds in an earlier attempt.
        spent = {"trial_s": max(time.monotonic() - began, evaluation.metrics.get("train_s", 0.0))}
        evaluation = replace(evaluation, metrics={**evaluation.metrics, **spent})
        # Optuna's side is complete before MLflow's, and told last: a killed process leaves nothing half told.
        for name, value in evaluation.constraints.items():
            trial.set_constraint(name, value)
        trial.set_user_attr(OUTCOME, "unmeasured" if isinstance(error, BoardError) else evaluation.state)
        self.book.finish(evaluation)
        self._tell(trial.number, evaluation)
        if not isinstance(error, BoardError):
            candidate.checkpoint.unlink(missing_ok=True)
            for unmeasured in owed(self.study, space, attempts=BOARD_FAILURES):
                self._ask_again(unmeasured)
        self.progress.result(evaluation)
        self._publish(evaluation)
        return error

    def _origin(self, *, is_baseline: bool) -> dict[str, Any]:
        """Who chose a new trial, as the book's words for it."""
        chosen_by = None if is_baseline else self.chosen_by
        by_chance = isinstance(self.study.sampler, RandomSampler)
        return {"chosen_by": chosen_by, "at_random": by_chance and chosen_by is None and not is_baseline}

    def _publish(self, evaluation: Evaluation) -> None:
        """Keep the model of a trial that is on the front as it stands, while its file is at hand."""
        if self.bench.precision == "int8" and evaluation.number in {
            member.number for member in front_of(self.book.evaluations())
        }:
            publish(evaluation, bench=self.bench, book=self.book)

    def _attempt(self, candidate: Candidate) -> tuple[Evaluation, NasError | None]:
        try:
            return evaluate_candidate(candidate, on_step=self.progress.step), None
        except (CandidateError, BoardError) as error:
            return failed_evaluation(candidate, error), error
        except BaseException:
            self.book.interrupt(candidate.run_id)
            raise

    def _tell(self, number: int, evaluation: Evaluation) -> None:
        told = "map" in evaluation.metrics and self.bench.space.offers(evaluation.architecture)
        if told:
            self.study.tell(number, [evaluation.metrics["map"], evaluation.metrics["latency_ms"]])
        else:
            is_failure = evaluation.state == "failed"
            self.study.tell(number, state=TrialState.FAIL if is_failure else TrialState.PRUNED)
