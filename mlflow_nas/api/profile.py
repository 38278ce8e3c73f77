"""`mlflow_nas profile`: where a model's time goes on a board."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow_nas.config import ProfileConfig, find_device, load_config, take_project_run_id, work_root
from mlflow_nas.errors import ConfigError

if TYPE_CHECKING:
    from mlflow_nas.api.models import Files
    from mlflow_nas.board import Profile

__all__ = ["profile"]


def profile(*, config: Path | None = None, **options: object) -> dict[str, object]:
    """Time every node of a model on a board, in float and int8, and log it as one run.

    Args:
        config: a YAML file with options.
        options: fields of `mlflow_nas.config.ProfileConfig`.

    Returns:
        board, emulated, files, modules, operators, nodes, int8_missing, facts, chart, run_id.

    Raises:
        ConfigError: an option or file; CandidateError: the board refuses the model; BoardError: the hardware
        failed; RegistryError: MLflow does not answer.
    """
    chosen = load_config(ProfileConfig, options, file=config)
    device = find_device(chosen.board, chosen.devices)
    folder = work_root() / "profile" / device.name
    files, missing = _files(chosen, folder)
    profiles, facts = measure_files(chosen, files)
    from mlflow_nas.board import compare, pair_nodes

    result: dict[str, object] = {
        "board": device.name,
        "emulated": device.emulated,
        "files": {precision: _file(path, profiles[precision]) for precision, path in files.items()},
        **compare(profiles, chosen.depth),
        "nodes": pair_nodes(profiles),
        "int8_missing": missing,
        "facts": facts,
    }
    return {**result, **_log(chosen, result, folder)}


def measure_files(config: ProfileConfig, files: "Files") -> "tuple[dict[str, Profile], dict[str, str]]":
    """Precision to profile, and the board's facts."""
    from mlflow_nas.board import NodeCost, get_board, profile_files
    from mlflow_nas.export import node_costs

    board = get_board(find_device(config.board, config.devices), threads=config.threads)
    costs = {
        precision: {name: NodeCost(*cost) for name, cost in node_costs(path).items()}
        for precision, path in files.items()
    }
    try:
        return profile_files(board, files, costs)
    finally:
        board.close()


def _files(config: ProfileConfig, folder: Path) -> "tuple[Files, str | None]":
    from mlflow_nas.api.models import detector_files, onnx_files

    if config.model is None and (config.int8 or config.shape):
        raise ConfigError("--int8 and --shape describe the file of --model: give it, or leave them out.")
    if config.model is not None and (config.arch or config.weights):
        raise ConfigError("--model is a network of its own: leave out --arch and --weights.")
    if config.model is not None:
        return onnx_files(config, config.model, folder)
    from mlflow_nas.space import load_space

    return detector_files(config, load_space(config.space), folder), None


def _file(path: Path, found: "Profile") -> dict[str, Any]:
    from mlflow_nas.export import model_sha256

    return {
        "path": str(path),
        "sha256": model_sha256(path),
        "run_ms": found.run_ms,
        "nodes_ms": found.nodes_ms,
        "runs": found.runs,
    }


def _log(config: ProfileConfig, result: Mapping[str, Any], folder: Path) -> dict[str, object]:
    """The run: times as metrics, tables, the chart; and the same files in the folder."""
    from mlflow_nas.api.runs import as_params, experiment_for
    from mlflow_nas.report import profile_png
    from mlflow_nas.tracking import connect, default_uri, log_file, log_profile, log_table

    precisions = list(result["files"])
    what = str(config.model.name if config.model else config.arch or config.space)
    title = f"{what} on {result['board']}" + (" (emulated)" if result["emulated"] else "")
    folder.mkdir(parents=True, exist_ok=True)
    chart = profile_png(result["modules"], folder / "profile.png", title=title, precisions=precisions)
    (folder / "profile.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    project_run = take_project_run_id()
    client = connect(default_uri())
    run_id = log_profile(
        client,
        experiment_id=experiment_for(client, project_run, config.experiment),
        run_id=project_run,
        name=f"profile {title}",
        params=as_params(config),
        metrics=_metrics(result),
        facts=result["facts"],
        tags={"nas.board": str(result["board"])},
    )
    for file in (chart, folder / "profile.json"):
        log_file(client, run_id, file)
    for name in ("modules", "operators", "nodes"):
        rows = result[name]
        log_table(client, run_id, list(rows[0]), [list(row.values()) for row in rows], f"{name}.json")
    return {"chart": str(chart), "run_id": run_id, "tracking_uri": client.tracking_uri}


def _metrics(result: Mapping[str, Any]) -> dict[str, float]:
    """Times of runs, nodes and modules; under names of their own where the board is emulated."""
    prefix = "emulated_" if result["emulated"] else ""
    found = {
        f"{prefix}profile_{precision}_{what}_ms": file[f"{what}_ms"]
        for precision, file in result["files"].items()
        for what in ("run", "nodes")
    }
    for row in result["modules"]:
        module = str(row["module"]).strip("()")
        found |= {
            f"{prefix}module/{module}/{precision}_ms": row[f"{precision}_ms"] for precision in result["files"]
        }
    return found
