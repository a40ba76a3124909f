"""Names of repositories of the hub, and errors of huggingface_hub as ours: what failed, where, and how to fix it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mammal.errors import BundleError, ConfigError, MammalError

HUB_ID = re.compile(r"[\w][\w.-]*/[\w][\w.-]*")

_LOGIN = "`hf auth login` stores a token of yours; or set HF_TOKEN"
_OF_STATUS = {
    401: ("the hub does not accept the token", _LOGIN),
    403: (
        "the token may not write here",
        "use a token with write access; the owner is your user name or an organisation that you belong to",
    ),
    404: ("there is no such repository or branch, or the token may not see it", f"check the spelling; {_LOGIN}"),
    429: ("the hub refuses further requests for now", "wait some minutes, then run the same line again"),
}
"""HTTP status -> what is wrong, and how to fix it."""


def check_hub_id(name: str, key: str) -> None:
    """Checks the form of a hub id.

    Args:
        name: `owner/name`.
        key: argument that it was given to, for the message.

    Raises:
        ConfigError: it does not have this form, or has signs that the hub does not allow.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    hint = f"{key}=OWNER/NAME, where the owner is a user or an organisation of the hub"
    if not HUB_ID.fullmatch(name):
        raise ConfigError(f"{name!r} is not the name of a repository", where=key, hint=hint)
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise ConfigError(f"{name!r} is not the name of a repository: {error}", where=key, hint=hint) from error


@contextmanager
def hub_errors(repo: str, endpoint: str) -> Iterator[None]:
    """Converts what huggingface_hub raises while a repository is used.

    Args:
        repo: the repository, for the message.
        endpoint: address of the hub, for the message.

    Raises:
        BundleError: the hub can't be reached, or refuses a request.
    """
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    transport: Any = HfHubHTTPError.__bases__  # errors of the HTTP library, which differs between versions, and OSError
    try:
        yield
    except MammalError:
        raise
    except OfflineModeIsEnabled as error:
        hint = "unset HF_HUB_OFFLINE (and TRANSFORMERS_OFFLINE), then run the same line again"
        raise BundleError("nothing can be uploaded: HF_HUB_OFFLINE is set", where=repo, hint=hint) from error
    except HfHubHTTPError as error:
        raise _refused(error, repo, endpoint) from error
    except transport as error:
        if getattr(error, "filename", None):  # a file of the bundle can't be read
            raise
        hint = "check the network and HF_ENDPOINT, then run the same line again: a bundle is uploaded in one commit"
        what = f"the hub at {endpoint} can't be reached: {_one_line(error)}"
        raise BundleError(what, where=repo, hint=hint) from error
    except KeyError as error:
        what = f"the server at {endpoint} does not answer as a hub does (no {error} in an answer)"
        raise BundleError(what, where=repo, hint="check HF_ENDPOINT; nothing was committed") from error
    except (RuntimeError, ValueError) as error:  # the upload of one file, or the front matter of the card
        what = f"the upload failed: {_one_line(error.__cause__ or error)}"
        hint = "nothing was committed; run the same line again, or correct the front matter of README.md"
        raise BundleError(what, where=repo, hint=hint) from error


def _refused(error: Exception, repo: str, endpoint: str) -> BundleError:
    status = getattr(getattr(error, "response", None), "status_code", None)
    said = getattr(error, "server_message", None)
    usual = f"the hub at {endpoint} answers {status or 'with an error'}", "run the same line again later"
    what, hint = _OF_STATUS.get(status or 0, usual)
    if said:
        what += f" ({_one_line(said)})"
    return BundleError(what, where=repo, hint=f"{hint}; nothing was committed")


def _one_line(said: object) -> str:
    return " ".join(str(said).split())[:300] or type(said).__name__
