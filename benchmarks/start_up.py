"""How long the doors of mlflow_nas take to open, against an interpreter that does nothing.

Prints the median of several processes, as a table; the ratio compares machines, the milliseconds do not.
"""

import statistics
import subprocess
import sys
import time

REPEATS = 5
STATEMENTS = {
    "bare interpreter": "pass",
    "import mlflow_nas": "import mlflow_nas",
    "import mlflow_nas.cli": "import mlflow_nas.cli",
    "import mlflow": "import mlflow",
    "import mlflow_nas.deployments": "import mlflow_nas.deployments",
}


def seconds(statement: str) -> float:
    """Wall time of one Python process that runs the statement."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - start


def main() -> None:
    """Time each statement in turn, so that a busy moment of the machine meets all of them."""
    rounds = [{name: seconds(source) for name, source in STATEMENTS.items()} for _ in range(REPEATS)]
    medians_s = {name: statistics.median(one[name] for one in rounds) for name in STATEMENTS}
    bare_s = medians_s["bare interpreter"]
    for name, median_s in medians_s.items():
        sys.stdout.write(f"{name:32}{median_s * 1000:8.0f} ms{median_s / bare_s:8.1f} x\n")


if __name__ == "__main__":
    main()
