"""The webhook's HTTP server, and its entry in MLflow."""

import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from mlflow import MlflowClient
from mlflow.entities.webhook import Webhook, WebhookEvent

from mlflow_nas.errors import ConfigError, RegistryError
from mlflow_nas.redact import redact
from mlflow_nas.registry.receiver import EVENTS, MAX_BODY_BYTES, Receiver
from mlflow_nas.tracking import server_call

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["check_webhook", "install_webhook", "make_app", "remove_webhook", "serve_webhook"]

SETTINGS = (
    "On the server set MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY (one key for all of its workers, else deliveries "
    "get lost), and for a receiver in a local network MLFLOW_WEBHOOK_ALLOWED_SCHEMES=http,https and "
    "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS=true"
)


def make_app(receiver: Receiver) -> "FastAPI":
    """The application: POST / takes deliveries, GET /health answers."""
    from fastapi import FastAPI, Request
    from fastapi.responses import PlainTextResponse

    @asynccontextmanager
    async def working(_: FastAPI) -> AsyncIterator[None]:
        receiver.start()
        yield
        receiver.stop()

    app = FastAPI(lifespan=working, docs_url=None, redoc_url=None, openapi_url=None)

    @app.post("/")
    async def receive(request: Request) -> PlainTextResponse:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY_BYTES:
                return PlainTextResponse(f"The body has more than {MAX_BODY_BYTES} bytes.", 413)
        status, sentence = receiver.accept(request.headers, body)
        return PlainTextResponse(sentence, status)

    @app.get("/health")
    async def health() -> PlainTextResponse:
        return PlainTextResponse("OK")

    return app


def serve_webhook(receiver: Receiver, *, host: str, port: int) -> None:
    """Serve until a signal ends the process.

    Raises:
        ConfigError: the address can't be listened on.
    """
    import uvicorn

    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    config = uvicorn.Config(make_app(receiver), access_log=False, log_config=None)
    with _listener(host, port) as listener:
        uvicorn.Server(config).run(sockets=[listener])


def _listener(host: str, port: int) -> socket.socket:
    """A socket of our own: uvicorn starts the receiver first, and ends the program when it can't listen."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        raise ConfigError(
            f"{host}:{port} can't be listened on ({error.strerror}): give another --port, or a --host of "
            "this machine."
        ) from error


@server_call("install the webhook", SETTINGS)
def install_webhook(client: MlflowClient, *, name: str, url: str, secret: str) -> str:
    """Make the server send its registry events to the receiver; one of the same name is replaced.

    Returns:
        The webhook's id.

    Raises:
        ConfigError: MLflow is no server: a database sends nothing.
        RegistryError: the server refuses.
    """
    if not client.tracking_uri.startswith("http"):
        raise ConfigError(
            f"{redact(client.tracking_uri)} sends no webhooks, an MLflow server does: use `mlflow_nas watch`."
        )
    for known in _named(client, name):
        client.delete_webhook(known.webhook_id)
    events: list[Any] = [WebhookEvent(*event.split(".")) for event in EVENTS]
    return str(client.create_webhook(name, url, events, secret=secret).webhook_id)


@server_call("test the webhook", SETTINGS)
def check_webhook(client: MlflowClient, name: str) -> str:
    """Have the server send a test event, and return the receiver's answer.

    Raises:
        ConfigError: there is no such webhook.
        RegistryError: the receiver did not accept it.
    """
    found = _named(client, name)
    if not found:
        raise ConfigError(
            f"The server has no webhook {name!r}: install it with `mlflow_nas webhook install`."
        )
    result = client.test_webhook(found[0].webhook_id)
    answer = result.response_body or result.error_message or "no answer"
    if not result.success:
        raise RegistryError(
            f"The server got {result.response_status or 'no status'} from {found[0].url}: {answer}. "
            f"{SETTINGS}; the secret of both sides must be the same (MLFLOW_NAS_WEBHOOK_SECRET)."
        )
    return f"{found[0].url} answered {result.response_status}: {answer}"


@server_call("remove the webhook", "check that it runs, then rerun the same command")
def remove_webhook(client: MlflowClient, name: str) -> int:
    """Delete the webhooks of that name; returns how many there were.

    Raises:
        RegistryError: the server refuses.
    """
    found = _named(client, name)
    for known in found:
        client.delete_webhook(known.webhook_id)
    return len(found)


def _named(client: MlflowClient, name: str) -> list[Webhook]:
    """The webhooks of that name.

    Raises:
        MlflowException: the server does not answer.
    """
    found, token = [], None
    while True:
        page = client.list_webhooks(page_token=token)
        found += [webhook for webhook in page if webhook.name == name]
        token = page.token
        if not token:
            return found
