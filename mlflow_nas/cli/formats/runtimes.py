"""What was installed for a runtime, as text."""

from mlflow_nas.api import RuntimesResult

__all__ = ["format_runtimes"]


def format_runtimes(result: RuntimesResult) -> str:
    """The folder, and the versions."""
    versions = ", ".join(f"{name} {value}" for name, value in result.versions.items() if value)
    return f"The runtime {result.runtime} is ready: converters in {result.folder}; {versions}."
