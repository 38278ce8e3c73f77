"""`mlflow_nas focus`: which choices act on the bottleneck, and how large the space of them is."""

import json
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow_nas.api.profile import profile as make_profile
from mlflow_nas.config import FocusConfig, ProfileConfig, load_config
from mlflow_nas.errors import ConfigError

if TYPE_CHECKING:
    pass

__all__ = ["focus"]

_BOTTLENECK = 5


def focus(*, config: Path | None = None, **options: object) -> dict[str, object]:
    """Derive a search space focused on where the time of a profile goes.

    Args:
        config: a YAML file with options.
        options: fields of `mlflow_nas.config.FocusConfig`.

    Returns:
        board, precision, bottleneck (the slowest modules), spaces (each with its parameters and sizes),
        suggested (its space and the command that searches there).

    Raises:
        ConfigError: an option, or a file that is no profile; what `profile` raises where one is made.
    """
    chosen = load_config(FocusConfig, options, file=config)
    from mlflow_nas.search import focus as focused
    from mlflow_nas.search import most_covering
    from mlflow_nas.space import load_space

    profile = _read(chosen.profile) if chosen.profile else _make(chosen)
    precision = list(profile["files"])[-1]
    times_ms: defaultdict[str, float] = defaultdict(float)
    for node in profile["nodes"]:
        times_ms[node["module"]] += node[f"{precision}_ms"] or 0.0
    names = dict.fromkeys(_spaces(chosen))
    found = [focused(load_space(name), times_ms, min_share=chosen.min_share) for name in names]
    best = most_covering(found)
    if not best.share:
        raise ConfigError(
            f"No parameter of {', '.join(names)} acts on a module of the profile, which has "
            f"{', '.join(list(times_ms)[:_BOTTLENECK])}: profile a detector of these spaces, or give a space "
            "of your own with --space FILE.py:NAME."
        )
    name = list(names)[found.index(best)]
    return {
        "board": profile["board"],
        "emulated": profile["emulated"],
        "precision": precision,
        "run_id": profile.get("run_id"),
        "bottleneck": [
            {"module": row["module"], "ms": row[f"{precision}_ms"], "share": row["share"]}
            for row in profile["modules"][:_BOTTLENECK]
        ],
        "spaces": [asdict(one) for one in found],
        "suggested": {
            **asdict(best),
            "space": name,
            "command": _command(name, best.settings, str(profile["board"]), emulated=profile["emulated"]),
        },
    }


def _spaces(config: FocusConfig) -> list[str]:
    """The built-in spaces, and the user's own."""
    from mlflow_nas.space import SPACES

    return [*SPACES, config.space]


def _command(space: str, settings: tuple[str, ...], board: str, *, emulated: bool) -> str:
    words = ["mlflow_nas search", f"--space {space}", *(f"--set {setting}" for setting in settings)]
    return " ".join(words if emulated else [*words, f"--board {board}"])


def _make(config: FocusConfig) -> dict[str, Any]:
    """A fresh profile of the architecture, logged as a run of its own."""
    shared = {name: getattr(config, name) for name in FocusConfig.model_fields if name in _SHARED}
    return dict(make_profile(**shared))


_SHARED = frozenset(FocusConfig.model_fields) & frozenset(ProfileConfig.model_fields)


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _ = found["board"], found["emulated"], found["modules"][0]["share"], found["nodes"][0]["module"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ConfigError(
            f"{path} is no profile: {type(error).__name__} {error}. Give the profile.json that `mlflow_nas "
            "profile` leaves in its run."
        ) from error
    return found
