"""The command line: one command per MLproject entry point."""

from mlflow_nas.cli.commands import main

__all__ = ["main"]
