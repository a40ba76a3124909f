"""The routes of the service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from fastapi import Body, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, Response
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.staticfiles import StaticFiles

from mammal.errors import ConfigError, MammalError
from mammal.service.answers import (
    CSV,
    answer_body,
    error_response,
    field_error,
    json_response,
    or_disconnected,
    unexpected,
)
from mammal.service.drawing import drawings, explained_drawings
from mammal.service.facts import bundle_facts
from mammal.service.limits import NotReadyError
from mammal.service.mcp_tools import mcp_server
from mammal.service.openapi import openapi_of
from mammal.service.requests import REQUESTS, DrawRequest, Rows
from mammal.service.security import Gate
from mammal.service.service import Service
from mammal.version import __version__

ASSETS = Path(__file__).parent / "assets"
"""Files of the pages. Nothing is loaded from other servers."""
FEW = 64
"""Rows of an answer that the event loop writes itself."""


@dataclass(frozen=True)
class Access:
    """Who may use the service.

    Attributes:
        api_key: key that requests need. None: they need none.
        cors: web pages of other origins that may use it, such as `https://lab.example`.
        hosts: names in the header `Host` that are accepted. None: all.
    """

    api_key: str | None = None
    cors: Sequence[str] = ()
    hosts: Sequence[str] | None = None


def make_app(service: Service, access: Access | None = None) -> FastAPI:
    """Returns the application. Its lifespan starts and stops the service.

    Args:
        service: answers the requests.
        access: who may use it. Default: everybody who can reach it.
    """
    access = access or Access()
    tools = mcp_server(service)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(tools.session_manager.run())
            yield

    app = FastAPI(title="MAMMAL", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    mounted = _mounted(tools, service.limits.max_body)
    _add_pages(app)
    _add_states(app, service)
    for verb, fields in REQUESTS.items():
        _add_verb(app, service, verb, fields)
    _add_drawing(app, service)
    app.router.routes.extend(mounted)
    _add_errors(app)
    app.add_middleware(
        Gate,
        api_key=access.api_key,
        hosts=access.hosts,
        max_body=service.limits.max_body,
    )
    if access.cors:
        names = ["Authorization", "X-API-Key", "Content-Type", "Accept", "Mcp-Session-Id", "Mcp-Protocol-Version"]
        how: dict[str, Any] = {"allow_methods": ["GET", "POST"], "expose_headers": ["Retry-After"]}
        app.add_middleware(CORSMiddleware, allow_origins=list(access.cors), allow_headers=names, **how)
    app.openapi = lambda: openapi_of(app, service)  # type: ignore[method-assign]
    return app


def _mounted(tools: Any, max_body: int) -> list[Any]:
    """The route of MCP. Each request stands alone, and `Gate` checks host and key."""
    from mcp.server.transport_security import TransportSecuritySettings

    how = {"json_response": True, "stateless_http": True, "max_request_body_size": max_body}
    unchecked = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    routes: list[Any] = list(tools.streamable_http_app(transport_security=unchecked, **how).routes)
    return routes


def _add_verb(app: FastAPI, service: Service, verb: str, fields: type[Rows]) -> None:
    where = f"POST /{verb}"

    async def endpoint(request: Request, body: Any) -> Response:
        csv = CSV in request.headers.get("accept", "")
        try:
            answered = await or_disconnected(request, service.answer(verb, body.fields(csv=csv)))
            if len(answered.answers) <= FEW and not csv:
                text = answer_body(answered, csv=False)
            else:
                text = await service.in_thread(lambda: answer_body(answered, csv=csv))
        except MammalError as error:
            return error_response(error, where)
        except Exception as error:
            return unexpected(error, where)
        return Response(text, media_type="text/csv; charset=utf-8" if csv else "application/json")

    endpoint.__annotations__ = {"request": Request, "body": Annotated[fields, Body()], "return": Response}
    endpoint.__doc__ = fields.__doc__
    app.post(f"/{verb}", name=verb, operation_id=verb, response_class=Response)(endpoint)


def _add_drawing(app: FastAPI, service: Service) -> None:
    async def draw(body: DrawRequest) -> Response:
        if body.attribution is None:
            return json_response({"svg": await service.in_thread(drawings, body.smiles)})
        how = body.attribution, body.largest, body.unit
        return json_response({"svg": await service.in_thread(explained_drawings, body.smiles, *how)})

    draw.__annotations__ = {"body": DrawRequest, "return": Response}
    draw.__doc__ = DrawRequest.__doc__
    app.post("/draw", operation_id="draw", response_class=Response)(draw)


def _add_states(app: FastAPI, service: Service) -> None:
    @app.get("/health")
    async def health() -> Response:
        """Whether the process is alive."""
        return json_response({"status": "alive"})

    @app.get("/ready")
    async def ready() -> Response:
        """Whether the model is loaded and warm. Status 503 until then."""
        if not service.ready:
            return error_response(NotReadyError("the model is being loaded"), "GET /ready")
        return json_response({"status": "ready"})

    @app.get("/tasks")
    async def tasks() -> Response:
        """The tasks of the bundle: what they read and answer, and the verbs that they can do."""
        if not service.ready:
            return error_response(NotReadyError("the model is being loaded"), "GET /tasks")
        return json_response({"tasks": [task.listed for task in service.tasks.values()]})

    @app.get("/info")
    async def info() -> Response:
        """The bundle, the model and the limits of a request."""
        if not service.ready:
            return error_response(NotReadyError("the model is being loaded"), "GET /info")
        return json_response(bundle_facts(service))

    @app.get("/metrics")
    async def metrics() -> Response:
        """Figures of the service in the format of Prometheus."""
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _add_pages(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return FileResponse(ASSETS / "page.html")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return FileResponse(ASSETS / "docs.html")

    app.mount("/assets", StaticFiles(directory=ASSETS), name="assets")


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(RequestValidationError)
    async def wrong_field(request: Request, error: RequestValidationError) -> Response:
        fields = REQUESTS.get(request.url.path.strip("/"), DrawRequest)
        failure = field_error(error.errors(), list(fields.model_fields))
        response = error_response(failure, f"{request.method} {request.url.path}")
        response.status_code = 422
        return response

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        paths = [str(route.path) for route in app.routes if hasattr(route, "path")]
        close = get_close_matches(request.url.path, paths, n=1)
        hint = f"did you mean {close[0]}?" if close and error.status_code == 404 else "GET /docs lists the paths"
        failure = ConfigError(str(error.detail).lower(), hint=hint)
        response = error_response(failure, f"{request.method} {request.url.path}")
        response.status_code = error.status_code
        response.headers.update(error.headers or {})
        return response
