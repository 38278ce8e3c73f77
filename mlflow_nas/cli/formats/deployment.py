"""Changes of the registry and of devices as text."""

from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from mlflow_nas.api import DeployResult, HookResult, PinResult, PublishResult, RegisterResult, WatchResult
from mlflow_nas.cli.formats.table import format_table
from mlflow_nas.networks import TASK_METRICS

if TYPE_CHECKING:
    from mlflow_nas.registry import Reconciliation

__all__ = [
    "format_deploy",
    "format_hook",
    "format_manifest",
    "format_pin",
    "format_promote",
    "format_publish",
    "format_register",
    "format_rollback",
    "format_watch",
]

_SHA256_SHOWN = 12


def format_promote(result: "Reconciliation") -> str:
    """The changes, or that there are none, and the front."""
    plain: Mapping[str, Any] = result.as_json()
    verb = "would change" if plain["dry_run"] else "changed"
    changes = [_format_change(change) for change in plain["changes"]]
    run = [f"Recorded in run {plain['run_id']}."] if plain["run_id"] else []
    return "\n".join(
        [
            f"{plain['model']}: {len(changes) or 'nothing'} {verb}.",
            *changes,
            format_table([{**row, "aliases": ", ".join(row["aliases"])} for row in plain["front"]]),
            *plain["notes"],
            *run,
        ]
    )


def format_pin(result: PinResult) -> str:
    """The pin, and what it changed."""
    changes = [_format_change(change) for change in result.changes]
    state = "is given back" if result.version is None else f"stays at version {result.version}"
    return "\n".join([f"{result.model}: {result.alias} {state}.", *changes])


def format_watch(result: WatchResult) -> str:
    """What the last check changed and deployed."""
    changes = [_format_change(change._asdict()) for change in result.changes]
    deployed = [format_manifest(manifest) for manifest in result.deployed.values()]
    head = f"{result.model}: {len(changes) or 'nothing'} changed."
    return "\n".join([head, *changes, *deployed, *result.notes])


def format_register(result: RegisterResult) -> str:
    """The version with its figures, and what the promotion changed."""
    shown = (*chain(*TASK_METRICS.values()), "latency_ms", "speedup")
    figures = ", ".join(f"{name} {result.metrics[name]:.3g}" for name in shown if name in result.metrics)
    changes = [_format_change(change._asdict()) for change in result.changes]
    head = f"{result.model} version {result.version} ({result.precision}): {figures}"
    return "\n".join([head, *changes, *result.notes])


def format_hook(result: HookResult) -> str:
    """Its sentence."""
    return result.message


def _format_change(change: Mapping[str, Any]) -> str:
    where = f"version {change['version']}: " if change["version"] else ""
    return f"{where}{change['kind']} {change['name']}: {change['before']} -> {change['after']}"


def format_deploy(result: DeployResult) -> str:
    """The version that is active now, its name, and where."""
    return format_manifest(result.as_json())


def format_manifest(manifest: Mapping[str, Any]) -> str:
    """The active version of a device's manifest; `devices` names those of a group."""
    before = manifest.get("previous")
    replaced = f"; version {before['version']} is the previous one" if before else ""
    found = manifest.get("verification", {})
    unstable = " (unstable)" if found.get("latency_unstable") else ""
    latency = (
        f", {found['latency_raw_ms']:.3f} ms on the device{unstable}" if "latency_raw_ms" in found else ""
    )
    return (
        f"Deployed {manifest['model']} version {manifest['version']} as {manifest['name']} "
        f"(sha256 {_short(manifest)}{latency}){replaced}{_devices(manifest)}."
    )


def format_publish(result: PublishResult) -> str:
    """The version that devices find now, and their reports."""
    manifest = result.manifest
    lines = [
        f"Published {manifest['model']} version {manifest['version']} as {manifest['deployment']} "
        f"(sha256 {_short(manifest)}) to {result.to}."
    ]
    if result.program:
        lines.append(f"Program {result.program}")
    if result.devices:
        rows = [
            {
                "device": one["device"],
                "version": one["version"],
                "state": "refused" if one["error"] else "active",
                "time": one["time_utc"],
                "error": one["error"],
            }
            for one in result.devices
        ]
        lines.append(format_table(rows))
    return "\n".join(lines)


def format_rollback(result: DeployResult) -> str:
    """The version that is active again."""
    manifest = result.as_json()
    return (
        f"{manifest['name']} is version {manifest['version']} of {manifest['model']} again "
        f"(sha256 {_short(manifest)}){_devices(manifest)}."
    )


def _short(manifest: Mapping[str, Any]) -> str:
    return str(manifest["sha256"])[:_SHA256_SHOWN]


def _devices(manifest: Mapping[str, Any]) -> str:
    """The devices of a group that have it."""
    return f", on {', '.join(manifest['devices'])}" if manifest.get("devices") else ""
