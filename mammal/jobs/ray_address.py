"""Checks the address of a Ray cluster before Ray tries it, because Ray tries a wrong one for more than two minutes."""

from __future__ import annotations

import os
import re
import socket
import threading
from typing import NamedTuple

from mammal.errors import JobError

TIMEOUT = 5.0
"""Seconds in which an address must answer."""

CLIENT_PORT = 10001
"""Port of `ray://` if none is given."""

_ADDRESS = re.compile(r"(?P<client>ray://)?(?P<host>\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+)(?::(?P<port>\d{1,5}))?/?")
_SCHEME = re.compile(r"[A-Za-z][\w+.-]*://")
_WEB = ("http://", "https://")
"""Addresses of the dashboard, which no plug-in of Ray takes."""
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""First bytes of a client of HTTP/2, which Ray's servers use, with an empty frame of settings (RFC 9113, 3.4)."""
_SETTINGS = 4
_HINT = "ray.address=HOST:6379 (the port of ray start --head), ray://HOST:10001, or auto; `ray status` there shows more"


class _Place(NamedTuple):
    host: str
    port: int


def check_address(address: str | None) -> None:
    """Checks that a server of Ray can be reached at an address.

    `auto` is looked up by Ray, unless the variable `RAY_ADDRESS` names the cluster. Addresses of other systems, which
    Ray hands to plug-ins (`NAME://…`), are not checked.

    Args:
        address: `HOST:PORT`, `ray://HOST:PORT`, `auto` or `local`. None: Ray is started on this machine.

    Raises:
        JobError: the address has another form, or nothing, or another kind of server, answers there.
    """
    shown = f"ray.address={address}"
    if address == "auto" and (named := os.environ.get("RAY_ADDRESS", "auto")) != "auto":
        address, shown = named, f"ray.address=auto, RAY_ADDRESS={named}"
    if address is None or address in ("", "auto", "local") or (place := _parsed(address, shown)) is None:
        return
    if (reason := _why_unreachable(place)) is not None:
        raise JobError(f"there is no Ray cluster: {place.host} port {place.port} {reason}", where=shown, hint=_HINT)


def _parsed(address: str, shown: str) -> _Place | None:
    """Host and port of an address; None: Ray gives it to a plug-in."""
    if _SCHEME.match(address) and not address.lower().startswith(("ray://", *_WEB)):
        return None
    match = _ADDRESS.fullmatch(address)
    port = None if match is None else match["port"] or (CLIENT_PORT if match["client"] else None)
    if match is None or port is None or not 0 < int(port) < 1 << 16:
        raise JobError("is not an address of Ray", where=shown, hint=_HINT)
    return _Place(match["host"].strip("[]"), int(port))


def _why_unreachable(place: _Place) -> str | None:
    """Returns why no server of Ray can be reached, within `TIMEOUT`.

    The attempt has a thread of its own, because looking up the name of a machine has no time limit.
    """
    found: list[str | None] = []
    thread = threading.Thread(target=lambda: found.append(_attempt(place)), daemon=True)
    thread.start()
    thread.join(TIMEOUT)
    return found[0] if found else f"does not answer within {TIMEOUT:g} seconds"


def _attempt(place: _Place) -> str | None:
    try:
        with socket.create_connection(place, TIMEOUT) as connection:
            return None if _uses_tls() or _answers_as_http2(connection) else "is not a server of Ray"
    except TimeoutError:
        return f"does not answer within {TIMEOUT:g} seconds"
    except socket.gaierror as error:
        return f"can't be found: {error.strerror or error}"
    except UnicodeError:  # a part of the name is empty or too long
        return "can't be found: this is not the name of a machine"
    except OSError as error:
        return f"can't be reached: {error.strerror or error}"


def _uses_tls() -> bool:
    return os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true")


def _answers_as_http2(connection: socket.socket) -> bool:
    """Whether the first frame of a server is one of settings, as HTTP/2 demands (RFC 9113, section 3.4)."""
    connection.sendall(_PREFACE)
    head = b""
    while len(head) < 9 and (more := connection.recv(9 - len(head))):
        head += more
    return len(head) == 9 and head[3] == _SETTINGS
