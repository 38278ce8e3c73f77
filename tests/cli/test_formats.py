"""Results as text."""

import io
import re

import pytest

from mlflow_nas.api import FocusResult, SearchResult, SelectResult, StatusResult
from mlflow_nas.cli.formats import (
    format_focus,
    format_search,
    format_select,
    format_status,
    format_table,
    format_train,
    format_ui,
)
from mlflow_nas.types import TrialResult

GOOD = TrialResult(
    key="k5", architecture={"k": 5}, state="complete", number=0, metrics={"map": 0.5, "latency_ms": 2.0}
)
BAD = TrialResult(key="k3", architecture={"k": 3}, state="failed", number=1, error="loss is not finite.")
MANIFEST = {"model": "m", "version": "2", "name": "door", "sha256": "a" * 64, "previous": {"version": "1"}}


class _Terminal(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        """Whether it is one."""
        return True


def _search(**changed: object) -> SearchResult:
    values = {
        "study": "demo",
        "run_id": "r",
        "experiment_id": "7",
        "tracking_uri": "http://localhost:5000",
        "trials": (GOOD, BAD),
        "front": (GOOD,),
    }
    return SearchResult(**{**values, **changed})  # type: ignore[arg-type]  # the values' types are their fields'


def test_a_table_shows_why_a_trial_failed() -> None:
    """Below the table, with its number."""
    shown = format_search(_search())
    assert "*  0      k5   complete  0.500  2.000" in shown
    assert "Trial 1 failed: loss is not finite." in shown
    assert "latency_ratio" not in shown, "no trial has it"
    assert "k3 failed: no memory" in format_train(
        TrialResult(key="k3", architecture={}, state="failed", error="no memory")
    )


@pytest.mark.parametrize(("columns", "height"), [("40", 3), ("200", 2)])
def test_a_terminals_table_wraps_sentences(
    columns: str, height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between words, to the width that COLUMNS has; numbers are whole."""
    monkeypatch.setattr("sys.stdout", _Terminal())
    monkeypatch.setenv("COLUMNS", columns)
    shown = format_table([{"found": "a sentence of several words, which is long", "value": 1.25}])
    lines = re.sub(r"\x1b\[\d*m", "", shown).splitlines()
    assert len(lines) == height
    assert max(len(line) for line in lines) <= int(columns)
    assert lines[1].endswith(" 1.250")


def test_a_table_that_does_not_fit_is_printed_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key is broken, and no column is lost; into a pipe a row is a line, however wide."""
    row = {"key": "k" * 50, "found": "a sentence", "value": 1.25}
    piped = format_table([row])
    assert piped.splitlines()[1] == f"{'k' * 50}  a sentence  1.250"
    monkeypatch.setattr("sys.stdout", _Terminal())
    monkeypatch.setenv("COLUMNS", "40")
    assert re.sub(r"\x1b\[\d*m", "", format_table([row])).splitlines()[1] == piped.splitlines()[1]


def test_a_search_ends_with_its_answer() -> None:
    """Finalists beside the detector as given, then what to ship."""
    given = TrialResult(
        key="as-given",
        architecture={},
        state="complete",
        role="reference",
        metrics={"map": 0.6, "speedup": 1.0},
    )
    finalist = TrialResult(
        key="k3",
        architecture={},
        state="complete",
        role="finalist",
        metrics={"map": 0.59, "map_ci_low": 0.57, "map_ci_high": 0.61, "speedup": 2.0},
    )
    shown = format_search(
        _search(given=given, finalists=(finalist,), answer=("Ship k3: 2.00 times as fast.",))
    )
    assert re.search(
        r"as-given +complete +0\.600 +- +1\.000\nk3 +complete +0\.590 +0\.570 to 0\.610 +2\.000", shown
    )
    assert shown.index("Trained to the end") < shown.index("Ship k3: 2.00 times as fast.")


def test_a_search_ends_with_registry_device_notes_and_page() -> None:
    """Whatever there is of them."""
    registry = {"model": "m", "aliases": {"fastest": 2, "champion": 1}}
    shown = format_search(
        _search(registry=registry, deployed=MANIFEST, notes=("No candidate met the goal.",))
    )
    assert "Registered model m: champion = version 1, fastest = version 2" in shown
    assert "Deployed m version 2 as door (sha256 aaaaaaaaaaaa); version 1 is the previous one." in shown
    assert "No candidate met the goal." in shown
    measured = {**MANIFEST, "verification": {"latency_raw_ms": 2.5, "latency_unstable": True}}
    assert "2.500 ms on the device (unstable)" in format_search(_search(deployed=measured))
    assert shown.endswith("http://localhost:5000/#/experiments/7/runs/r?workflowType=machine_learning")
    assert "Not deployed: unplugged" in format_search(_search(not_deployed="unplugged", trials=(), front=()))


@pytest.mark.parametrize(
    "uri",
    [
        "http://nas:s3cret@mlflow:5000",
        "https://mlflow?access_token=s3cret",
        "postgresql://nas:s3cret@db/mlflow",
        "mysql+pymysql://nas:s3cret@with@sign@db/mlflow",
        "postgresql://db/mlflow?password=s3cret",
    ],
)
def test_no_password_of_the_tracking_uri_is_shown(uri: str) -> None:
    """Neither after "Open the UI" nor in the JSON object."""
    result = _search(tracking_uri=uri)
    assert "s3cret" not in format_search(result)
    assert "s3cret" not in str(result.as_json())


def test_the_page_of_a_database_comes_with_the_command_that_serves_it() -> None:
    """Where the URI can't be shown, by the variable that holds it."""
    assert " server --backend-store-uri 'sqlite:///my runs.db' --workers 1" in format_ui(
        "sqlite:///my runs.db", "0", "r"
    )
    shown = format_ui("postgresql://u:p@h/d", "0", "r")
    assert (
        '--backend-store-uri "$MLFLOW_TRACKING_URI" --workers 1  (then http://127.0.0.1:5000/#/exp' in shown
    )


def test_a_status_counts_what_is_left() -> None:
    """And names the best."""
    row = GOOD.as_row()
    result = StatusResult(
        study="s", trials=(row,), running=2, waiting=1, front=(row,), best=row, storage="/a b/optuna.journal"
    )
    shown = format_status(result)
    assert "Study s: 1 trials finished, 2 running, 1 waiting." in shown
    assert "Best first objective: trial 0, k5" in shown
    assert "optuna-dashboard '/a b/optuna.journal'" in shown
    empty = format_status(
        StatusResult(
            study="s",
            trials=(),
            running=0,
            waiting=0,
            front=(),
            best=None,
            storage="postgresql://u:***@h/d",
        )
    )
    assert "(none)" in empty
    assert "Best" not in empty
    assert 'optuna-dashboard "$MLFLOW_NAS_STORAGE"' in empty, "a result holds no password"


def test_a_focus_names_what_no_parameter_changes() -> None:
    """The search can't make it faster."""
    suggested = {"space": "chain", "focused_size": 1, "size": 2, "parameters": [], "command": "c"}
    result = FocusResult(
        board="b",
        emulated=False,
        precision="int8",
        bottleneck=(),
        fixed=({"module": "backbone.stem", "share": 0.17},),
        spaces=(),
        suggested=suggested,
    )
    assert "No parameter of chain acts on: backbone.stem 17.0 %" in format_focus(result)


def test_a_selection_names_its_decision() -> None:
    """With the noise ceiling where it is known."""
    words = {"name": "macs", "family": "size", "ci": (0.4, 0.6), "indistinguishable": True}
    numbers = ("tau", "tau_bbc", "spearman", "sparse_tau", "precision_at_k", "regret_at_k", "missing")
    numbers += ("tau_to_winner", "p_value", "seconds", "probability_best")
    absent = dict.fromkeys(("informativeness", "p_value_flops", "excluded"))
    strategy = {**words, **dict.fromkeys(numbers, 0.5), **absent}
    selection = {"strategies": [strategy], "samples": 40, "winner": "macs", "k": 5, "noise": None}
    selection |= {"selected": "macs", "reason": "tau .4", "fallback": ()}
    result = SelectResult(
        selection=selection, study=None, run_id="r", experiment_id="0", tracking_uri="http://u:s3cret@h"
    )
    shown = format_select(result)
    assert "Selected: macs (tau .4)" in shown
    assert "Noise ceiling: unknown" in shown
    assert "s3cret" not in shown + str(result.as_json())
    assert result.as_json()["winner"] == "macs"


def test_a_table_without_rows_is_no_error() -> None:
    """It has no columns to show."""
    assert format_table([]) == "(none)"
