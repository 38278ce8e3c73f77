"""The record of changes: a run of the role "promotion" with one line per change."""

import datetime
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mlflow import MlflowClient

from mlflow_nas.registry.plan import Change
from mlflow_nas.tracking import DEFAULT_EXPERIMENT, experiment_id, log_command, log_file

__all__ = ["CHANGES_FILE", "record_changes"]

CHANGES_FILE = "changes.jsonl"


def record_changes(
    client: MlflowClient,
    model: str,
    changes: Sequence[Change],
    notes: Sequence[str],
    *,
    trigger: str,
    run_id: str | None,
) -> str:
    """Store each change as a line of an artifact: when, what, why, by which trigger.

    Args:
        client: the MLflow client.
        model: the registered model.
        changes: that were written.
        notes: sentences of the reconciliation.
        trigger: by which the changes came, such as search, promote or webhook.
        run_id: the run to use; None makes one in the experiment of MLFLOW_EXPERIMENT_NAME, else mlflow-nas.

    Returns:
        The run's id.

    Raises:
        RegistryError: MLflow does not answer.
    """
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    lines = [json.dumps({"time": now, "trigger": trigger, **change._asdict()}) for change in changes]
    own = log_command(
        client,
        experiment_id=experiment_id(client, DEFAULT_EXPERIMENT),
        run_id=run_id,
        name=f"promotion-{model}",
        role="promotion",
        metrics={"changes": float(len(changes))},
        tags={"nas.model": model, "nas.trigger": trigger, "mlflow.note.content": "\n\n".join(notes)},
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / CHANGES_FILE
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        log_file(client, own, file)
    return own
