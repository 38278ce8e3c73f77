"""`mlflow_nas profile`: the time of each node and module of a model on a board."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow_nas.api.plan_results import ProfileResult
from mlflow_nas.api.profile_timing import time_scaling, timing_metrics
from mlflow_nas.api.settings import read_settings
from mlflow_nas.config import ProfileConfig, find_onnx_device, take_project_run_id, work_root

if TYPE_CHECKING:
    from mlflow_nas.api.models import Files
    from mlflow_nas.board import Profile

__all__ = ["make_profile", "profile"]


def profile(
    settings: ProfileConfig | None = None,
    /,
    *,
    config: Path | str | None = None,
    on_step: Callable[[str], None] = lambda _step: None,
    **options: object,
) -> ProfileResult:
    """Time every node of a model on a board, in float and int8, and log it as one run.

    Args:
        settings: the configuration; None for keywords.
        config: a YAML file with further settings.
        on_step: called with the name of each step.
        options: settings by option or dotted name.

    Raises:
        ConfigError: a setting or file.
        CandidateError: the board refuses the model.
        BoardError: the hardware failed.
        RegistryError: MLflow does not answer.
    """
    chosen = read_settings(ProfileConfig, settings, options, config)
    result = make_profile(chosen, on_step)
    files = {precision: Path(file["path"]) for precision, file in result.files.items()}
    result = replace(result, **time_scaling(chosen, files, on_step))
    on_step("log the profile")
    return _log(chosen, result, _folder(chosen))


def make_profile(config: ProfileConfig, on_step: Callable[[str], None] = lambda _step: None) -> ProfileResult:
    """Time every node of a model on a board; nothing is logged.

    Args:
        config: of the command.
        on_step: called with the name of each step.

    Raises:
        ConfigError: a setting or file.
        CandidateError: the board refuses the model.
        BoardError: the hardware failed.
    """
    device = find_onnx_device(config.board.name, config.board.inventory)
    on_step("export and quantize")
    files, missing = _files(config, _folder(config))
    on_step(f"time each node on {device.name}")
    profiles, facts = measure_files(config, files)
    from mlflow_nas.board import compare_profiles, pair_nodes

    compared = compare_profiles(profiles, config.depth)
    return ProfileResult(
        board=device.name,
        emulated=device.emulated,
        files={precision: _file(path, profiles[precision]) for precision, path in files.items()},
        modules=tuple(compared["modules"]),
        operators=tuple(compared["operators"]),
        nodes=tuple(pair_nodes(profiles)),
        int8_missing=missing,
        facts=facts,
    )


def _folder(config: ProfileConfig) -> Path:
    return work_root() / "profile" / config.board.name


def measure_files(config: ProfileConfig, files: "Files") -> "tuple[dict[str, Profile], dict[str, str]]":
    """Precision to profile, and the board's facts."""
    from mlflow_nas.board import NodeCost, get_board, profile_files
    from mlflow_nas.export import node_costs, node_modules

    device = find_onnx_device(config.board.name, config.board.inventory)
    board = get_board(device, threads=config.board.threads)
    costs = {
        precision: {name: NodeCost(*cost) for name, cost in node_costs(path).items()}
        for precision, path in files.items()
    }
    try:
        modules = {name: module for path in files.values() for name, module in node_modules(path).items()}
        return profile_files(board, files, costs, modules)
    finally:
        board.close()


def _files(config: ProfileConfig, folder: Path) -> "tuple[Files, str | None]":
    from mlflow_nas.api.models import detector_files, onnx_files

    if config.model is not None:
        return onnx_files(config, config.model, folder)
    return detector_files(config, folder), None


def _file(path: Path, found: "Profile") -> dict[str, Any]:
    from mlflow_nas.export import model_sha256

    return {
        "path": str(path),
        "sha256": model_sha256(path),
        "run_ms": found.run_ms,
        "profiled_ms": found.profiled_ms,
        "nodes_ms": found.nodes_ms,
        "runs": found.runs,
    }


def _log(config: ProfileConfig, result: ProfileResult, folder: Path) -> ProfileResult:
    """The run: times as metrics, tables, the chart; and the same files in the folder."""
    from mlflow_nas.api.project_run import experiment_for, params_for
    from mlflow_nas.report import profile_png
    from mlflow_nas.tracking import connect, default_uri, log_file, log_profile, log_table

    what = str(config.model.name if config.model else config.arch or config.space.name)
    title = f"{what} on {result.board}" + (" (emulated)" if result.emulated else "")
    folder.mkdir(parents=True, exist_ok=True)
    chart = profile_png(result.modules, folder / "profile.png", title=title, precisions=list(result.files))
    (folder / "profile.json").write_text(json.dumps(result.as_json(), indent=1), encoding="utf-8")
    project_run = take_project_run_id()
    client = connect(default_uri())
    run_id = log_profile(
        client,
        experiment_id=experiment_for(client, project_run, config.tracking),
        run_id=project_run,
        name=f"profile {title}",
        params=params_for(client, config, project_run),
        metrics=_metrics(result),
        facts=result.facts,
        tags={"nas.board": result.board},
    )
    for file in (chart, folder / "profile.json"):
        log_file(client, run_id, file)
    tables = {name: getattr(result, name) for name in ("modules", "operators", "nodes", "threads")}
    tables["sustained"] = (result.sustained or {}).get("windows", ())
    for name, rows in tables.items():
        if not rows:
            continue
        log_table(client, run_id, list(rows[0]), [list(row.values()) for row in rows], f"{name}.json")
    return replace(result, chart=chart, run_id=run_id, tracking_uri=client.tracking_uri)


def _metrics(result: ProfileResult) -> dict[str, float]:
    """Times of runs, nodes and modules; under names of their own where the board is emulated."""
    prefix = "emulated_" if result.emulated else ""
    found = {
        f"{prefix}profile_{precision}_{what}_ms": file[f"{what}_ms"]
        for precision, file in result.files.items()
        for what in ("run", "nodes")
    }
    found |= {
        f"{prefix}{name}": value for name, value in timing_metrics(result.threads, result.sustained).items()
    }
    for row in result.modules:
        module = str(row["module"]).strip("()")
        found |= {
            f"{prefix}module/{module}/{precision}_ms": row[f"{precision}_ms"] for precision in result.files
        }
    return found
