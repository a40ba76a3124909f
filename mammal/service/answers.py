"""Answers and errors as HTTP responses."""

from __future__ import annotations

import asyncio
import json
import logging
import traceback
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import Response

from mammal.errors import BundleError, ConfigError, MammalError, did_you_mean
from mammal.service.answered import Answered
from mammal.service.limits import ClientGoneError, RefusedRequestError
from mammal.service.security import error_body, error_headers
from mammal.service.service import described

logger = logging.getLogger(__name__)

CSV = "text/csv"
_Result = TypeVar("_Result")


def json_response(content: Any, status: int = 200) -> Response:
    """Returns a JSON answer.

    Args:
        content: plain values.
        status: HTTP status.
    """
    body = json.dumps(content, ensure_ascii=False, allow_nan=False)
    return Response(body.encode("utf-8", errors="replace"), status, media_type="application/json")


def answer_body(answered: Answered, *, csv: bool) -> bytes:
    """Returns the answers to a request as text.

    Args:
        answered: the answers.
        csv: as the table that `mammal predict` prints. False: as JSON.
    """
    if csv:
        text: str = answered.frame().to_csv(index=False)
    else:
        text = json.dumps(described(answered), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", errors="replace")


def error_response(error: MammalError, where: str) -> Response:
    """Returns an error of the user with what, where and hint.

    Args:
        error: the error.
        where: verb and path of the request.
    """
    status = error.status if isinstance(error, RefusedRequestError) else 500 if _is_ours(error) else 400
    headers = {name.decode(): value.decode() for name, value in error_headers(error)}
    return Response(error_body(error, where), status, headers)


def _is_ours(error: MammalError) -> bool:
    """Whether the operator of the service can correct an error, not the client."""
    return isinstance(error, BundleError)


def unexpected(error: BaseException, where: str) -> Response:
    """Logs an error of our own by its type and place, and returns it. Its message can quote the request.

    Args:
        error: the error.
        where: verb and path of the request.
    """
    last = traceback.extract_tb(error.__traceback__)[-1:]
    place = f"{last[0].filename}:{last[0].lineno}" if last else "an unknown place"
    logger.error("%s failed with %s at %s", where, type(error).__name__, place)
    failure = ConfigError("the service failed", hint="the log of the service has the place of the error")
    return Response(error_body(failure, where), 500, media_type="application/json")


def field_error(errors: Sequence[Mapping[str, Any]], known: Sequence[str]) -> MammalError:
    """Returns the first of the errors that pydantic found in a request.

    Args:
        errors: the errors.
        known: fields of the request.
    """
    first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
    path = ".".join(str(part) for part in first["loc"] if not _is_type(part)) or "body"
    if first["type"] == "extra_forbidden":
        name = str(first["loc"][-1])
        hint = did_you_mean(name, known, noun="field")
        return ConfigError(f"there is no field {name!r}", where=path, hint=hint)
    if first["type"] == "json_invalid":
        return ConfigError(
            "the body is not JSON", where="body", hint=str(first.get("ctx", {}).get("error", "")) or None
        )
    hints = {"missing": f"fields: {', '.join(known)}", "model_attributes_type": "send Content-Type: application/json"}
    message = str(first["msg"]).removeprefix("Value error, ")
    return ConfigError(message[:1].lower() + message[1:], where=path, hint=hints.get(first["type"]))


def _is_type(part: object) -> bool:
    """Whether pydantic names a type of a union, which is no part of the request."""
    return isinstance(part, str) and (part in ("str", "int", "float", "bool") or part.startswith(("dict[", "list[")))


async def or_disconnected(request: Request, work: Coroutine[Any, Any, _Result]) -> _Result:
    """Waits for an answer, and cancels the work if the client closes the connection.

    Args:
        request: the request, whose body was read.
        work: computes the answer.

    Raises:
        ClientGoneError: the client has closed the connection.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        task.cancel()
        await asyncio.wait({task})
        raise ClientGoneError("the client closed the connection")
    finally:
        gone.cancel()
        task.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
