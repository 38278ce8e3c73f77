"""`mlflow_nas focus`: a search space of the choices that act on the bottleneck."""

import json
import re
import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow_nas.api.profile import make_profile
from mlflow_nas.api.results import FocusResult
from mlflow_nas.api.settings import read_settings
from mlflow_nas.config import FocusConfig, ProfileConfig
from mlflow_nas.errors import ConfigError

if TYPE_CHECKING:
    from mlflow_nas.search import Focus

__all__ = ["focus"]

_BOTTLENECK = 5
_LEAST_SHARE = 0.01
_REMEDY = "give the profile.json that `mlflow_nas profile` leaves in its run."
_DATA = "DATA"
"""Placeholder in the printed command where no data set is given."""


def focus(
    settings: FocusConfig | None = None, /, *, config: Path | str | None = None, **options: object
) -> FocusResult:
    """Derive a search space of the parameters that act on the slow modules of a profile; nothing is logged.

    Args:
        settings: the configuration; None for keywords.
        config: a YAML file with further settings.
        options: settings by option or dotted name.

    Raises:
        ConfigError: a setting, or a file that is no profile.
        CandidateError, BoardError: of a profile that is made now.
    """
    chosen = read_settings(FocusConfig, settings, options, config)
    profile = _read(chosen.profile) if chosen.profile else make_profile(_profile_config(chosen)).as_json()
    precision = list(profile["files"])[-1]
    times_ms: defaultdict[str, float] = defaultdict(float)
    for node in profile["nodes"]:
        times_ms[node["module"]] += node[f"{precision}_ms"] or 0.0
    spaces = _focused(chosen, times_ms)
    name, best = _suggested(spaces, times_ms)
    return FocusResult(
        board=str(profile["board"]),
        emulated=bool(profile["emulated"]),
        precision=precision,
        bottleneck=tuple(
            {"module": row["module"], "ms": row[f"{precision}_ms"], "share": row["share"]}
            for row in profile["modules"][:_BOTTLENECK]
        ),
        fixed=_fixed(best, profile["modules"]),
        spaces=tuple(asdict(one) for one in spaces.values()),
        suggested={**asdict(best), "space": name, "command": _command(chosen, name, best, profile)},
    )


def _focused(config: FocusConfig, times_ms: Mapping[str, float]) -> "dict[str, Focus]":
    """Every built-in space and the user's own, narrowed to the bottleneck."""
    from mlflow_nas.search import focus as narrow_to
    from mlflow_nas.space import SPACES, load_space

    names = dict.fromkeys([*SPACES, config.space.name])
    return {name: narrow_to(load_space(name), times_ms, min_share=config.min_share) for name in names}


def _suggested(spaces: "Mapping[str, Focus]", times_ms: Mapping[str, float]) -> "tuple[str, Focus]":
    """The space that acts on most of the time.

    Raises:
        ConfigError: none acts on any.
    """
    from mlflow_nas.search import most_covering

    best = most_covering(list(spaces.values()))
    if not best.share:
        raise ConfigError(
            f"No parameter of {', '.join(spaces)} acts on a module of the profile, which has "
            f"{', '.join(list(times_ms)[:_BOTTLENECK])}: profile a detector of these spaces, or give a space "
            "of your own with --space FILE.py:NAME."
        )
    return next(name for name, one in spaces.items() if one is best), best


def _fixed(best: "Focus", modules: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Modules with a noticeable share of the time that no parameter of the space acts on."""
    prefixes = [prefix for one in best.parameters for prefix in one.acts_on if prefix]
    return tuple(
        {"module": row["module"], "share": row["share"]}
        for row in modules
        if row["share"] >= _LEAST_SHARE and not any(_overlap(row["module"], prefix) for prefix in prefixes)
    )


def _overlap(module: str, prefix: str) -> bool:
    """Whether one path is the other, or lies below it."""
    return f"{module}.".startswith(f"{prefix}.") or f"{prefix}.".startswith(f"{module}.")


def _command(config: FocusConfig, space: str, best: "Focus", profile: Mapping[str, Any]) -> str:
    """The search of the focused space, on the data and from the weights that were given."""
    study = re.sub(r"[^A-Za-z0-9._-]", "-", f"focused-{best.space}")
    words = ["mlflow_nas", "search", "--study", study, "--data", config.data or _DATA]
    words += ["--classes", ",".join(config.classes), "--space", space]
    words += ["--weights", str(config.weights)] if config.weights else []
    words += [] if profile["emulated"] else ["--board", str(profile["board"])]
    words += ["--devices", str(config.board.inventory)] if config.board.inventory else []
    choices = " ".join(f"space.{setting}" for setting in best.settings)
    return shlex.join([*words, *(["--set", choices] if choices else [])])


def _profile_config(config: FocusConfig) -> ProfileConfig:
    """The profile of the same network on the same board."""
    shared = ProfileConfig.model_fields.keys() & type(config).model_fields.keys()
    return ProfileConfig.model_validate({name: getattr(config, name) for name in shared})


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ConfigError(f"{path} is no file: {_REMEDY}")
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _ = found["board"], found["emulated"], found["modules"][0]["share"], found["nodes"][0]["module"]
        _ = found["modules"][0][f"{list(found['files'])[-1]}_ms"]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(
            f"{path} is no profile ({type(error).__name__} {str(error)[:80]}): {_REMEDY}"
        ) from error
    return found
