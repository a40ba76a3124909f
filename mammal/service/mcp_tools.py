"""The verbs as tools of the Model Context Protocol, made with its official SDK."""

from __future__ import annotations

import logging
from inspect import Parameter, Signature
from typing import Annotated, Any

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import ValidationError
from pydantic_core import PydanticUndefined

from mammal.errors import MammalError
from mammal.service.answered import plain
from mammal.service.answers import field_error
from mammal.service.facts import bundle_facts
from mammal.service.requests import REQUESTS, Rows
from mammal.service.service import Service, described
from mammal.version import __version__

INSTRUCTIONS = (
    "A model of small molecules (SMILES), proteins and DNA. Call `tasks` first: it lists what the model can predict or "
    "generate, the columns that each task reads, and an example. A row without an answer has the reason in `error`."
)


def mcp_server(service: Service) -> MCPServer:
    """Returns a server with one tool for each verb, and the tools `tasks` and `info`.

    Args:
        service: answers the calls.
    """
    server: MCPServer = MCPServer(
        "mammal", title="MAMMAL", instructions=INSTRUCTIONS, version=__version__, log_level="WARNING"
    )
    logging.getLogger("mcp").setLevel(logging.CRITICAL)  # its messages about wrong arguments quote them
    for verb, fields in REQUESTS.items():
        server.add_tool(_tool(service, verb, fields), name=verb, description=fields.__doc__, structured_output=True)

    async def tasks() -> dict[str, Any]:
        await _ready(service)
        return {"tasks": [task.listed for task in service.tasks.values()]}

    async def info() -> dict[str, Any]:
        return bundle_facts(await _ready(service))

    server.add_tool(tasks, description="List the tasks: what each reads and answers, and the verbs that it can do.")
    server.add_tool(info, description="Describe the bundle, the model and the limits of a request.")
    return server


async def _ready(service: Service) -> Service:
    try:
        await service.until_ready()
    except MammalError as error:
        raise ToolError(str(error)) from None
    return service


def _tool(service: Service, verb: str, fields: type[Rows]) -> Any:
    """A function whose parameters are the fields of a verb."""

    async def tool(**given: Any) -> dict[str, Any]:
        try:
            request = fields(**given).fields()
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            raise ToolError(str(field_error(found, list(fields.model_fields)))) from None
        await _ready(service)
        try:
            answered = await service.answer(verb, request)
        except MammalError as error:
            raise ToolError(str(error)) from None
        except Exception as error:
            raise ToolError(f"the service failed with {type(error).__name__}") from None
        return await service.in_thread(described, answered)

    tool.__name__ = verb
    tool.__signature__ = _signature(fields)  # type: ignore[attr-defined]
    return tool


def _signature(fields: type[Rows]) -> Signature:
    parameters = []
    for name, one in fields.model_fields.items():
        default = one.get_default(call_default_factory=True)
        kind = Annotated[one.annotation, one]  # type: ignore[name-defined]
        empty = Parameter.empty if default is PydanticUndefined else plain(default)
        parameters.append(Parameter(name, Parameter.KEYWORD_ONLY, default=empty, annotation=kind))
    return Signature(parameters, return_annotation=dict[str, Any])
