"""Prepare a server that `serve` has started, from inside its container: each step once.

prepare.py bucket               the bucket of NAS_ARTIFACTS
prepare.py user NAME            a login; its password is asked for, or read from a pipe
prepare.py share MODEL USER     let a user change a registered model that is another's
prepare.py workspace NAME USER  a workspace, and a user who works in it (a server with --enable-workspaces)
"""

import argparse
import getpass
import os
import sys
from urllib.parse import urlsplit

import boto3
from mlflow import MlflowClient
from mlflow.server.auth.client import AuthServiceClient


def make_bucket() -> None:
    """Create the bucket of NAS_ARTIFACTS, s3://BUCKET/PREFIX."""
    bucket = urlsplit(os.environ["NAS_ARTIFACTS"]).netloc
    boto3.client("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"]).create_bucket(Bucket=bucket)


def make_user(name: str) -> None:
    """Create a login that may log and register, and change what is its own."""
    typed = getpass.getpass(f"password of {name}: ") if sys.stdin.isatty() else sys.stdin.readline()
    AuthServiceClient(_log_in()).create_user(name, typed.rstrip("\n"))


def share(model: str, user: str) -> None:
    """Let a user change a registered model."""
    AuthServiceClient(_log_in()).grant_user_permission(user, "registered_model", model, "EDIT")


def make_workspace(name: str, user: str) -> None:
    """Create a workspace, and give a user MLflow's role `user` in it."""
    auth = AuthServiceClient(_log_in())
    MlflowClient(_log_in()).create_workspace(name)
    (role,) = [role for role in auth.list_roles(name) if role.name == "user"]
    auth.assign_role(user, role.id)


def _log_in() -> str:
    """Name the administrator in the environment; the server's URL."""
    os.environ["MLFLOW_TRACKING_USERNAME"] = "admin"
    os.environ["MLFLOW_TRACKING_PASSWORD"] = os.environ["MLFLOW_AUTH_ADMIN_PASSWORD"]
    return os.environ.setdefault("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")


STEPS = {
    "bucket": (make_bucket, 0),
    "user": (make_user, 1),
    "share": (share, 2),
    "workspace": (make_workspace, 2),
}


def main() -> None:
    """Do one step."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    work, count = STEPS[given.step]
    if len(given.names) != count:
        parser.error(f"{given.step} takes {count} names, not {len(given.names)}")
    work(*given.names)


if __name__ == "__main__":
    main()
