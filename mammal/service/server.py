"""Starts the service, and stops it after the accepted requests."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal import console
from mammal.errors import ConfigError, did_you_mean
from mammal.service.limits import Limits
from mammal.service.notes import keep_requests_out_of_the_log
from mammal.service.security import LOOPBACK_NAMES, check_exposure, is_loopback

if TYPE_CHECKING:
    from mammal.inference.api import Mammal
    from mammal.service.app import Access
    from mammal.service.service import Service

KEY_VARIABLE = "MAMMAL_API_KEY"
NEEDED = ("fastapi", "uvicorn", "mcp", "prometheus_client")
TRANSPORTS = ("http", "stdio")


def serve(options: Mapping[str, Any], config_dirs: Sequence[Path] = ()) -> int:
    """Runs the service until it is stopped.

    Args:
        options: the composed configuration of `mammal serve`.
        config_dirs: folders of the user with `task/*.yaml`.

    Returns:
        The exit code.

    Raises:
        ConfigError: an option is wrong, a package is missing, or the address is in use.
        MammalError: the model can't be loaded.
    """
    check_installed()
    if (transport := options["transport"]) not in TRANSPORTS:
        hint = did_you_mean(str(transport), TRANSPORTS, noun="transport")
        raise ConfigError(f"there is no transport {transport!r}", hint=hint)
    from mammal.bundle.heads import head_bundle
    from mammal.bundle.locate import locate
    from mammal.service.service import Service

    given = {one.name: options[one.name] for one in fields(Limits) if options.get(one.name) is not None}
    limits = Limits(**given)
    options = {**options, "bundle": head_bundle(options["bundle"], options["task"], "serve")}
    locate(options["bundle"])  # says at once that there is no such bundle
    service = Service(partial(open_model, options, config_dirs), limits, partial(console.note, "ready"))
    keep_requests_out_of_the_log()
    run = _run_stdio if transport == "stdio" else partial(_run_http, options)
    return run(service)


def check_installed() -> None:
    """Checks that the packages of the extra are installed.

    Raises:
        ConfigError: one is missing.
    """
    for name in NEEDED:
        if find_spec(name) is None:
            package = name.replace("_", "-")
            raise ConfigError(f"{package} is not installed", where="mammal serve", hint="pip install 'mammal[serve]'")


def open_model(options: Mapping[str, Any], config_dirs: Sequence[Path] = ()) -> Mammal:
    """Opens the model with the tasks that are served.

    Args:
        options: as for `serve`.
        config_dirs: as for `serve`.
    """
    from mammal.jobs.loaded_model import open_model as opened

    how = {name: options[name] for name in ("device", "dtype", "tokenizer", "batch_tokens")}
    model = opened(options["bundle"], config_dirs=config_dirs, **how)
    if options["task"] is not None:
        names = [options["task"]] if isinstance(options["task"], str) else options["task"]
        tasks = [model.find_task(name) for name in names]
        model.tasks = {task.name: task for task in tasks}
    return model


def access_of(options: Mapping[str, Any]) -> Access:
    """Returns who may use the service.

    Args:
        options: as for `serve`.

    Raises:
        ConfigError: other machines could use it without a key.
    """
    from mammal.service.app import Access

    key = options["api_key"] or os.environ.get(KEY_VARIABLE) or None
    check_exposure(options["host"], key, allow_open=options["allow_open"])
    hosts = options["hosts"]
    if hosts is None and is_loopback(options["host"]):
        hosts = LOOPBACK_NAMES
    return Access(key, options["cors"] or (), hosts)


def _run_stdio(service: Service) -> int:
    from mammal.service.mcp_tools import mcp_server

    server = mcp_server(service)
    service.start()
    server.run("stdio")
    service.stop()
    if service.failure is not None:
        raise service.failure
    return 0


def _run_http(options: Mapping[str, Any], service: Service) -> int:
    import uvicorn

    from mammal.service.app import make_app

    access = access_of(options)
    sock = _socket(options["host"], options["port"])
    config = uvicorn.Config(
        make_app(service, access),
        log_config=None,
        log_level="warning",
        access_log=False,  # addresses can contain what users send
        ws="none",
        lifespan="on",
        server_header=False,
        timeout_graceful_shutdown=max(1, round(options["grace"])),
    )
    server = uvicorn.Server(config)
    service.start(failed=partial(setattr, server, "should_exit", True))
    console.note(f"listening on http://{_address(sock)}{'' if access.api_key else ', without an API key'}")
    with _quiet_signals():
        server.run(sockets=[sock])
    service.stop()
    console.note(f"stopped: {service.accepted:,} requests accepted, {service.answered:,} answered")
    if service.failure is not None:
        raise service.failure
    return 0


def _socket(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        sock = socket.create_server((host.strip("[]"), port), family=family, backlog=256)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or the body waits 40 ms behind its headers
        return sock
    except OSError as error:
        hint = f"another program uses it? port={port + 1}, or port=0 for any free port"
        raise ConfigError(f"can't listen: {error.strerror or error}", where=f"{host}:{port}", hint=hint) from error


def _address(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@contextmanager
def _quiet_signals() -> Iterator[None]:
    """Ignores the signal that uvicorn sends itself again after it has stopped, which would end the process at once."""
    both = (signal.SIGTERM, signal.SIGINT)
    former = [signal.signal(one, lambda *_: None) for one in both]
    try:
        yield
    finally:
        for one, handler in zip(both, former, strict=True):
            signal.signal(one, handler)
