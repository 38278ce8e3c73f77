"""Devices and their checks as text."""

from collections.abc import Mapping
from typing import Any

from mlflow_nas.api import BoardsResult, DoctorResult
from mlflow_nas.cli.formats.table import format_table

__all__ = ["format_boards", "format_doctor"]


def format_boards(result: BoardsResult) -> str:
    """A line per device, and below them why devices are not ready."""
    faults = [
        f"\n{row['name']}: {row['error']}\n  See what is missing: mlflow_nas doctor --board {row['name']}"
        for row in result.boards
        if row["error"]
    ]
    return "\n".join([format_table([_device(row) for row in result.boards]), *faults])


def _device(row: Mapping[str, Any]) -> dict[str, Any]:
    facts = row["facts"]
    return {
        "board": f"{row['name']} (emulated)" if row["emulated"] else row["name"],
        "transport": row["transport"],
        "host": row["host"],
        "state": row["state"],
        "soc": facts.get("soc") or facts.get("cpu") or facts.get("machine"),
        "cores": facts.get("cores"),
        "governor": facts.get("governor"),
        "MHz": facts.get("clock_mhz"),
        "max MHz": facts.get("clock_max_mhz"),
        "memory MB": facts.get("memory_mb"),
        "onnxruntime": facts.get("onnxruntime"),
        "providers": facts.get("providers", "").replace("ExecutionProvider", "") or None,
        "groups": ",".join(row["groups"]) or None,
    }


def format_doctor(result: DoctorResult) -> str:
    """A line per check, each with its remedy, and the verdict."""
    lines = []
    for check in result.checks:
        lines.append(f"{check['state']:8}{check['name']:12}{check['found']}")
        if check["remedy"]:
            lines.append(f"{'':20}-> {check['remedy']}")
    verdict = "is ready" if result.ready else "can't be used yet"
    return "\n".join([*lines, f"{result.board} {verdict}."])
