"""The OpenAPI description, with examples that the loaded model has answered."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from mammal.service.requests import OF_MODEL
from mammal.service.served_tasks import EXAMPLES, ServedTask, explain_options
from mammal.service.service import Service

ABOUT = (
    "Every row of a request has its place in the answer. A row that can't be answered has the reason in the column "
    "`error`. `Accept: text/csv` gives a table. Errors have the form {error: {what, where, hint}}."
)
_ERRORS = {
    "400": "A value is wrong, or a column is missing.",
    "401": "The API key is missing or wrong.",
    "413": "The request exceeds a limit.",
    "422": "A field is wrong.",
    "429": "Too many requests wait. Retry-After has the seconds to wait.",
    "503": "The model is being loaded.",
    "504": "The request took longer than the time limit.",
}
_TEXT = {"type": "string"}
_ERROR_FORM = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "what": {"type": "string"},
                "where": {"type": "string"},
                "hint": {"type": ["string", "null"]},
            },
        }
    },
}


def openapi_of(app: FastAPI, service: Service) -> dict[str, Any]:
    """Returns the description. It is kept once the model is loaded.

    Args:
        app: the application.
        service: the service.
    """
    if app.openapi_schema is not None:
        return app.openapi_schema
    found = get_openapi(title=app.title, version=app.version, description=ABOUT, routes=app.routes)
    for path, methods in found["paths"].items():
        for method in methods.values():
            method["responses"].pop("422", None)
            if "requestBody" in method:
                _describe(service, path.strip("/"), method)
    found["components"]["schemas"].pop("HTTPValidationError", None)
    found["components"]["schemas"].pop("ValidationError", None)
    if service.ready:
        app.openapi_schema = found
    return found


def _describe(service: Service, verb: str, method: dict[str, Any]) -> None:
    errors = {"content": {"application/json": {"schema": _ERROR_FORM}}}
    method["responses"] |= {status: {"description": text, **errors} for status, text in _ERRORS.items()}
    examples = request_examples(service, verb)
    if examples:
        method["requestBody"]["content"]["application/json"]["examples"] = examples
    answered: dict[str, Any] = {"description": "One row for each row of the request, and for each sequence."}
    answers = {name: {"value": answer} for name, answer in service.examples.items()} if verb == "predict" else {}
    content: dict[str, Any] = {"schema": {"type": "object"}, **({"examples": answers} if answers else {})}
    method["responses"]["200"] = {**answered, "content": {"application/json": content}}


def request_examples(service: Service, verb: str) -> dict[str, Any]:
    """Returns requests of a verb that the service answers, one for each task.

    Args:
        service: the service.
        verb: the verb.
    """
    molecules = {"data": list(EXAMPLES["SMILES"])}
    if verb in ("properties", "names"):
        return {"molecules": {"value": molecules}}
    if verb == "draw":
        return {"molecules": {"value": {"smiles": molecules["data"]}}}
    tasks = [task for task in service.tasks.values() if verb in task.verbs]
    found = {task.name: {"value": _request(verb, task)} for task in tasks if task.example is not None}
    return found if verb in OF_MODEL else {}


def _request(verb: str, task: ServedTask) -> dict[str, Any]:
    row = dict(task.example or {})
    if verb == "score":
        value = task.labels[-1] if task.labels else EXAMPLES["SMILES"][1]
        row |= dict.fromkeys(task.targets, value)
    more: dict[str, Any] = {"n": 2} if verb == "generate" else explain_options(task.targets, verb)
    return {**({"data": [row]} if row else {}), "task": task.name, **more}
