"""Pull instead of push: the device downloads the file from a bucket, by a signed URL."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from mlflow_nas.deployments.release import Release
from mlflow_nas.errors import ConfigError

__all__ = ["Bucket", "bucket_client", "explained", "parse_bucket", "upload"]

EXPIRES_S = 3600
TIMEOUT_S = 20
ATTEMPTS = 3


class Bucket(NamedTuple):
    """Target of uploads: s3://NAME/PREFIX."""

    name: str
    prefix: str


def parse_bucket(uri: str) -> Bucket:
    """The bucket of s3://NAME or s3://NAME/PREFIX.

    Raises:
        ConfigError: the URI has another form.
    """
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
        raise ConfigError(f"via={uri} is no bucket: give s3://BUCKET or s3://BUCKET/PREFIX.")
    return Bucket(parts.netloc, parts.path.strip("/"))


def upload(release: Release, via: str) -> Callable[[], str]:
    """Upload a version's file under its hash, once.

    Credentials, region and endpoint are boto3's: AWS_ACCESS_KEY_ID and its like, ~/.aws, the machine's
    role; AWS_ENDPOINT_URL for another store than Amazon's.

    Args:
        release: the version.
        via: s3://BUCKET/PREFIX. The file stays there.

    Returns:
        Makes a URL from which anybody can download the file for an hour.

    Raises:
        ConfigError: it is no bucket, there are no credentials, or the store refuses.
    """
    bucket = parse_bucket(via)
    key = f"{bucket.prefix}/{release.sha256}{release.file.suffix}".lstrip("/")
    with explained(via):
        client = bucket_client()
        client.upload_file(str(release.file), bucket.name, key)
    return partial(_sign, client, via, {"Bucket": bucket.name, "Key": key})


def _sign(client: Any, via: str, target: dict[str, str]) -> str:
    with explained(via):
        return str(client.generate_presigned_url("get_object", Params=target, ExpiresIn=EXPIRES_S))


def bucket_client() -> Any:
    """Boto3's client, with time limits."""
    import boto3
    from botocore.config import Config

    timeouts = {"connect_timeout": TIMEOUT_S, "read_timeout": TIMEOUT_S}
    retries = {"max_attempts": ATTEMPTS}
    return boto3.Session().client("s3", config=Config(signature_version="s3v4", retries=retries, **timeouts))


@contextmanager
def explained(via: str) -> Iterator[None]:
    """Turn boto3's errors into ConfigError with a remedy."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (Boto3Error, BotoCoreError, ClientError, ValueError) as error:
        raise ConfigError(
            f"The bucket {via} can't be used: {error}. Check its name, the credentials (AWS_ACCESS_KEY_ID, "
            "AWS_PROFILE, ~/.aws), AWS_DEFAULT_REGION and AWS_ENDPOINT_URL."
        ) from error
