"""`mlflow_nas focus`: a search space of the choices that save time on a board."""

import json
import re
import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow_nas.api.plan_results import FocusResult
from mlflow_nas.api.profile import make_profile
from mlflow_nas.api.savings import RelativeLatency, focused_space, heights_to_search
from mlflow_nas.api.settings import read_settings
from mlflow_nas.config import FocusConfig, ProfileConfig
from mlflow_nas.errors import ConfigError

if TYPE_CHECKING:
    from mlflow_nas.search import Coverage, Focus

__all__ = ["focus", "suggest"]

_BOTTLENECK = 5
_LEAST_SHARE = 0.01
_REMEDY = "give the profile.json that `mlflow_nas profile` leaves in its run."
_DATA = "DATA"
"""Placeholder in the printed command where no data set is given."""


def focus(
    settings: FocusConfig | None = None,
    /,
    *,
    config: Path | str | None = None,
    latency: RelativeLatency | None = None,
    **options: object,
) -> FocusResult:
    """Derive a search space of the choices that save time on a board; nothing is logged.

    A profile names the slow modules, and the space whose parameters act on most of the time. Each of its
    parameters is then measured at both ends, with untrained weights.

    Args:
        settings: the configuration; None for keywords.
        config: a YAML file with further settings.
        latency: of an architecture, relative to the baseline's; None to measure it on the board now.
        options: settings by option or dotted name.

    Raises:
        ConfigError: a setting, or a file that is no profile.
        CandidateError, BoardError: of a profile or a latency that is measured now.
    """
    chosen = read_settings(FocusConfig, settings, options, config)
    return suggest(chosen, images=_aspect_of_images(chosen), latency=latency)


def suggest(
    chosen: FocusConfig, *, images: float | None, latency: RelativeLatency | None = None
) -> FocusResult:
    """The result of `focus`.

    Args:
        chosen: its configuration.
        images: median width / height of the training images; None without a data set.
        latency: of an architecture, relative to the baseline's; None to measure it on the board now.

    Raises:
        ConfigError, CandidateError, BoardError: as `focus`.
    """
    profile = _read(chosen) if chosen.profile else make_profile(_profile_config(chosen)).as_json()
    precision = list(profile["files"])[-1]
    times_ms: defaultdict[str, float] = defaultdict(float)
    for node in profile["nodes"]:
        times_ms[node["module"]] += node[f"{precision}_ms"] or 0.0
    spaces = _covered(chosen, times_ms)
    name = _most_covering(spaces, times_ms)
    heights, aspect = heights_to_search(chosen, images)
    best = focused_space(chosen, name, heights, aspect, times_ms, latency)
    choices = (*best.settings, *(one for one in heights if _is_free(best, one)))
    command = _command(chosen, name, choices, best, profile)
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
        suggested={**asdict(best), "space": name, "settings": choices, "command": command},
    )


def _aspect_of_images(config: FocusConfig) -> float | None:
    from mlflow_nas.data import load_splits

    return load_splits(config.data, config.classes).train.aspect if config.data else None


def _covered(config: FocusConfig, times_ms: Mapping[str, float]) -> "dict[str, Coverage]":
    """Every built-in space and the user's own: the time that it acts on."""
    from mlflow_nas.search import coverage
    from mlflow_nas.space import SPACES, load_space

    names = dict.fromkeys([*SPACES, config.space.name])
    return {name: coverage(load_space(name), times_ms) for name in names}


def _most_covering(spaces: "Mapping[str, Coverage]", times_ms: Mapping[str, float]) -> str:
    """The name of the space that acts on most of the time.

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
    return next(name for name, one in spaces.items() if one is best)


def _is_free(best: "Focus", choice: str) -> bool:
    return any(one.free and one.name == choice.partition("=")[0] for one in best.parameters)


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


def _command(
    config: FocusConfig, space: str, choices: Sequence[str], best: "Focus", profile: Mapping[str, Any]
) -> str:
    """The search of the focused space, on the data and from the weights that were given."""
    study = re.sub(r"[^A-Za-z0-9._-]", "-", f"focused-{best.space}")
    words = ["mlflow_nas", "search", "--study", study, "--data", config.data or _DATA]
    words += ["--classes", ",".join(config.classes), "--space", space]
    words += ["--weights", str(config.weights)] if config.weights else []
    words += [] if profile["emulated"] else ["--board", str(profile["board"])]
    words += ["--devices", str(config.board.inventory)] if config.board.inventory else []
    settings = [f"space.{choice}" for choice in choices]
    settings += [f"space.aspect={config.space.aspect}"] if config.space.aspect != "square" else []
    settings += [f"board.threads={config.board.threads}"] if config.board.threads else []
    return shlex.join([*words, *(["--set", " ".join(settings)] if settings else [])])


def _profile_config(config: FocusConfig) -> ProfileConfig:
    """The profile of the same network on the same board."""
    shared = ProfileConfig.model_fields.keys() & type(config).model_fields.keys()
    return ProfileConfig.model_validate({name: getattr(config, name) for name in shared})


def _read(config: FocusConfig) -> dict[str, Any]:
    """A profile from its file.

    Raises:
        ConfigError: it is none, or one of another board than savings are measured on.
    """
    path = Path(str(config.profile))
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
    if found["board"] != config.board.name:
        raise ConfigError(
            f"{path} is a profile of the board {found['board']}, and savings are measured on "
            f"{config.board.name}: give --board {found['board']}, or leave --profile out."
        )
    return found
