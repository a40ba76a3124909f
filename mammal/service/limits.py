"""Limits of the service, and the errors of requests that exceed them. Each error has its HTTP status."""

from __future__ import annotations

from dataclasses import dataclass, fields

from mammal.errors import ConfigError, MammalError


@dataclass(frozen=True)
class Limits:
    """What one request may ask for, and how much work may wait.

    Attributes:
        max_rows: rows of a request; for `generate`, sequences: rows times `n`, `num_beams` or `consensus`.
        max_explained: rows of a request of `explain`, each of which takes at least 32 passes with gradients.
        max_characters: characters of all cells of a request.
        max_new_tokens: highest `max_new_tokens` that a request may set.
        timeout: seconds until a request is given up.
        max_requests: requests that are accepted at once, those that wait included.
        max_waiting: characters of all accepted requests together.
        batch_tokens: characters of the rows that go to the model together. Rows have fewer tokens than characters.
        wait: milliseconds that the first request waits for others that can share its batch.
    """

    max_rows: int = 1_000
    max_explained: int = 20
    max_characters: int = 500_000
    max_new_tokens: int = 512
    timeout: float = 60.0
    max_requests: int = 64
    max_waiting: int = 2_000_000
    batch_tokens: int = 8_192
    wait: float = 4.0

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if value < 0 or (value == 0 and one.name != "wait"):
                raise ConfigError(f"{one.name} must be greater than 0, not {value}", where="mammal serve")

    @property
    def max_body(self) -> int:
        """Bytes of the body of a request: a character takes up to 6 bytes in JSON, names of columns come on top."""
        return 16 * self.max_characters + 65_536


class RefusedRequestError(MammalError):
    """A request that is not answered.

    Attributes:
        status: HTTP status.
        retry_after: seconds after which the same request may be accepted. None: never.
    """

    status = 400
    retry_after: int | None = None


class TooLargeError(RefusedRequestError):
    """A request has more rows, characters or bytes than the service accepts."""

    status = 413


class BusyError(RefusedRequestError):
    """As many requests wait as the service accepts.

    Args:
        what: what is wrong.
        retry_after: seconds after which another try is sensible.
    """

    status = 429

    def __init__(self, what: str, retry_after: int):
        super().__init__(what, hint=f"send it again in {retry_after} s")
        self.retry_after = retry_after


class TimedOutError(RefusedRequestError):
    """A request took longer than the time limit."""

    status = 504


class NotReadyError(RefusedRequestError):
    """The model is not loaded yet, or the service is being stopped."""

    status = 503
    retry_after = 2


class KeyNeededError(RefusedRequestError):
    """The API key is missing or wrong."""

    status = 401


class HostRefusedError(RefusedRequestError):
    """The header `Host` does not name this service."""

    status = 421


class ClientGoneError(RefusedRequestError):
    """The client closed the connection before it had the answer."""

    status = 499
