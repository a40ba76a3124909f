"""Who may use the service: the API key, the names under which it is addressed, and the size of a request's body.

Plain ASGI middleware: a request passes without a copy of its body, and nothing of it is logged.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from mammal.errors import ConfigError, MammalError
from mammal.service.limits import HostRefusedError, KeyNeededError, RefusedRequestError, TooLargeError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN = ("/", "/docs", "/health", "/ready")
"""Paths that need no API key: pages that contain nothing of the bundle, and the probes of an orchestrator."""
OPEN_FOLDER = "/assets/"
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")

HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        b"base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine can reach an address.

    Args:
        host: an address or a name.
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_exposure(host: str, api_key: str | None, *, allow_open: bool) -> None:
    """Refuses to serve other machines without an API key.

    Args:
        host: address that the service listens on.
        api_key: the key. None: there is none.
        allow_open: the operator allows it.

    Raises:
        ConfigError: other machines could use the service without a key, or the key is too short.
    """
    if api_key is not None and len(api_key) < 16:
        hint = "python -c 'import secrets; print(secrets.token_urlsafe(32))'"
        raise ConfigError("the API key has fewer than 16 characters", where="MAMMAL_API_KEY", hint=hint)
    if not is_loopback(host) and api_key is None and not allow_open:
        hint = "set MAMMAL_API_KEY, or host=127.0.0.1; allow_open=true serves everybody who reaches the machine"
        raise ConfigError(f"host={host} is open to other machines, and there is no API key", hint=hint)


def error_body(error: MammalError, where: str = "") -> bytes:
    """Returns an error as JSON.

    Args:
        error: the error.
        where: where it is, unless the error says so.
    """
    found = {"what": error.what, "where": error.where or where, "hint": error.hint}
    return json.dumps({"error": found}).encode()


def error_headers(error: MammalError) -> list[tuple[bytes, bytes]]:
    """Returns the headers of an answer that is an error.

    Args:
        error: the error.
    """
    headers = [(b"content-type", b"application/json")]
    if isinstance(error, RefusedRequestError) and error.retry_after is not None:
        headers.append((b"retry-after", str(error.retry_after).encode()))
    if isinstance(error, KeyNeededError):
        headers.append((b"www-authenticate", b"Bearer"))
    return headers


class Gate:
    """Lets a request pass if its host, its key and its size are right. It also adds headers for browsers.

    Args:
        app: the application.
        api_key: the key that requests need. None: they need none.
        hosts: names in the header `Host` that are accepted. None: all. It stops web pages that reach a service on
            loopback through a name of their own (DNS rebinding).
        max_body: most bytes of a body.
    """

    def __init__(self, app: App, *, api_key: str | None, hosts: Collection[str] | None, max_body: int):
        self.app, self.max_body = app, max_body
        self.hosts = None if hosts is None else {host.casefold() for host in hosts}
        self._key = None if api_key is None else api_key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        try:
            self._check(scope, headers)
            reader = _Reader(receive, self.max_body)
            await self.app(scope, reader, _sender(send, reader))
            if reader.too_large:  # the application has answered that it can't read the body: this says why
                raise _too_large(self.max_body)
        except RefusedRequestError as error:
            start = {"type": "http.response.start", "status": error.status, "headers": error_headers(error)}
            await send(start)
            body = error_body(error, f"{scope['method']} {scope['path']}")
            await send({"type": "http.response.body", "body": body})

    def _check(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        host = headers.get(b"host", b"").decode("latin-1").casefold()
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and not host.endswith("]") else host
        if self.hosts is not None and name not in self.hosts:
            hint = f"use {' or '.join(sorted(self.hosts))}, or hosts=[NAME] when the service is started"
            raise HostRefusedError("the host of the request is not served", hint=hint)
        path = scope["path"]
        if self._key is not None and path not in OPEN and not path.startswith(OPEN_FOLDER):
            self._check_key(scope, headers)
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self.max_body:
            raise _too_large(self.max_body)

    def _check_key(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        if scope["method"] == "OPTIONS":
            return  # browsers ask without a key whether they may send one
        kind, _, token = headers.get(b"authorization", b"").partition(b" ")
        given = token.strip() if kind.lower() == b"bearer" else headers.get(b"x-api-key", b"")
        assert self._key is not None
        if not hmac.compare_digest(given, self._key):
            what = "the API key is wrong" if given else "an API key is needed"
            raise KeyNeededError(what, hint="header Authorization: Bearer KEY, or X-API-Key: KEY")


class _Reader:
    """Reads the body of a request up to a limit."""

    def __init__(self, receive: Receive, limit: int):
        self._receive, self._limit, self._read = receive, limit, 0
        self.too_large = False

    async def __call__(self) -> MutableMapping[str, Any]:
        message = await self._receive()
        self._read += len(message.get("body", b""))
        self.too_large = self._read > self._limit
        if self.too_large:
            raise _too_large(self._limit)
        return message


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError("the request is too large", hint=f"at most {limit:,} bytes; send several requests")


def _sender(send: Send, reader: _Reader) -> Send:
    """Adds the headers for browsers. An answer to a body that is too large is dropped."""

    async def sent(message: MutableMapping[str, Any]) -> None:
        if reader.too_large:
            return
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message.get("headers", ())}
            message["headers"] = [*message.get("headers", ()), *(one for one in HEADERS if one[0] not in present)]
        await send(message)

    return sent
