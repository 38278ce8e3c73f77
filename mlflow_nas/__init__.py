"""Hardware-aware neural architecture search in MLflow.

``mlflow_nas.api`` holds one function per command; importing this package loads no heavy library.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
