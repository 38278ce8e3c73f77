"""The record of changes: a run of the role "promotion" with one line per change."""

from collections.abc import Sequence

from mlflow import MlflowClient

from mlflow_nas.registry.plan import Change
from mlflow_nas.tracking import log_changes

__all__ = ["record_changes"]


def record_changes(
    client: MlflowClient,
    model: str,
    changes: Sequence[Change],
    notes: Sequence[str],
    *,
    trigger: str,
    run_id: str | None = None,
    experiment: str | None = None,
) -> str:
    """Record what was changed in the registry, and why.

    Args:
        client: the MLflow client.
        model: the registered model.
        changes: that were written.
        notes: sentences of the reconciliation.
        trigger: by which the changes came, such as search, promote or webhook.
        run_id: the run to use; None makes one.
        experiment: id of its experiment; None for that of MLFLOW_EXPERIMENT_NAME, else mlflow-nas.

    Returns:
        The run's id.

    Raises:
        RegistryError: MLflow does not answer.
    """
    return log_changes(
        client,
        [change._asdict() for change in changes],
        name=f"promotion-{model}",
        role="promotion",
        trigger=trigger,
        tags={"nas.model": model, "mlflow.note.content": "\n\n".join(notes)},
        run_id=run_id,
        experiment=experiment,
    )
