"""`python -m mlflow_nas COMMAND`."""

from mlflow_nas.cli import main

if __name__ == "__main__":
    main()
