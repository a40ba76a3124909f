"""Files in remote stores: reading from S3, Google Cloud Storage and the web, writing to the first two.

    s3://bucket/library.csv.gz     gs://bucket/library/     https://example.org/library.smi

S3 and Google Cloud Storage are opened by pyarrow, whose wheels contain both; no further package is needed. They find
their credentials as their command line tools do. `AWS_ENDPOINT_URL` names another store that has the interface of S3.
"""

from __future__ import annotations

import logging
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from mammal.tasks.errors import DataError
from mammal.tokenization.errors import did_you_mean

if TYPE_CHECKING:
    from pyarrow import fs

logger = logging.getLogger(__name__)

STORES = ("s3", "gs", "gcs")
"""Schemes of stores that can be listed and written."""

WEB = ("http", "https")
SCHEMES = (*STORES, *WEB)

ATTEMPTS = 3
"""How often a download from the web is tried."""

MARKER = ".mammal-write-check"
"""Name of the empty file by which `check_writable` finds out whether a folder can be written."""

TIMEOUT_SECONDS = 60.0
_BLOCK = 1 << 20
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://")


def is_remote(place: object) -> bool:
    """Whether a place is a URL, such as `s3://bucket/library.csv`."""
    return isinstance(place, str) and _URL.match(place) is not None


def checked_scheme(url: str) -> str:
    """Returns the scheme of a URL, such as "s3".

    Raises:
        DataError: it is not one of `SCHEMES`; the hint gives the nearest one.
    """
    match = _URL.match(url)
    scheme = match["scheme"].lower() if match else ""
    if scheme in SCHEMES:
        return scheme
    hint = "give the path without file://" if scheme == "file" else did_you_mean(scheme, SCHEMES, noun="scheme")
    raise DataError(f"files can't be read from {scheme}://", where=url, hint=hint)


def remote_name(url: str) -> str:
    """Returns the name of a remote file, without the folders and the query."""
    return PurePosixPath(unquote(urlsplit(url).path)).name


def fetch(url: str, folder: Path) -> Path:
    """Copies a remote file into a folder, in blocks of one megabyte.

    Args:
        url: the file.
        folder: an existing folder.

    Returns:
        The copy.

    Raises:
        DataError: there is no such file, or it can't be read.
    """
    target = folder / (remote_name(url) or "file")
    if checked_scheme(url) in WEB:
        _download(url, target)
        return target
    with _store(url) as (store, path):
        found = store.get_file_info(path)
        if not found.is_file:
            raise _missing(url, store, path)
        with store.open_input_stream(path, compression=None) as stream, target.open("wb") as copy:
            shutil.copyfileobj(stream, copy, _BLOCK)
    return target


def list_remote(url: str, *, deep: bool = False) -> list[str] | None:
    """Returns the files of a remote folder, sorted by name.

    Args:
        url: the folder.
        deep: also list the files of the folders inside it.

    Returns:
        URLs of the files; None: there is no such folder, or it is a file.

    Raises:
        DataError: the store can't be read, or a web server is asked, which has no list of files.
    """
    if checked_scheme(url) in WEB:
        raise DataError("a web server has no list of its files", where=url, hint="name each file: input=[URL,URL]")
    from pyarrow import fs

    start, query = _without_query(url)
    with _store(url) as (store, path):
        if store.get_file_info(path).type != fs.FileType.Directory:
            return None
        found = store.get_file_info(fs.FileSelector(path.rstrip("/"), recursive=deep))
    scheme = start.partition("://")[0]
    return [f"{scheme}://{one.path}{query}" for one in sorted(found, key=lambda one: one.path) if one.is_file]


def read_remote(url: str) -> bytes | None:
    """Returns the content of a small file of a store, and None if there is no such file.

    Raises:
        DataError: the store can't be read.
    """
    with _store(url) as (store, path):
        if not store.get_file_info(path).is_file:
            return None
        with store.open_input_stream(path, compression=None) as stream:
            return bytes(stream.read())


def exists_remote(url: str) -> bool:
    """Whether a store has a file or folder at a URL.

    Raises:
        DataError: the store can't be read.
    """
    from pyarrow import fs

    with _store(url) as (store, path):
        return bool(store.get_file_info(path.rstrip("/")).type != fs.FileType.NotFound)


def upload(file: Path, url: str) -> None:
    """Copies a file to a store. The store shows the new file only when it is whole.

    Args:
        file: the file.
        url: where it goes. A file at this place is replaced.

    Raises:
        DataError: the store can't be written.
    """
    from pyarrow import fs

    with _store(url) as (store, path):
        fs.copy_files(str(file), path, source_filesystem=fs.LocalFileSystem(), destination_filesystem=store)
        written = store.get_file_info(path).size
        if written != file.stat().st_size:
            store.delete_file(path)
            raise DataError(f"only {written:,} of {file.stat().st_size:,} bytes were written", where=url)


def check_writable(url: str) -> None:
    """Checks that files can be written to a folder of a store: writes an empty file there and deletes it.

    A store that lets files be written and not deleted keeps the file `MARKER`, which readers of folders leave out.

    Args:
        url: the folder. It need not exist; its bucket must.

    Raises:
        DataError: there is no such bucket, or the folder can't be written.
    """
    with _store(url) as (store, folder):
        path = f"{folder.rstrip('/')}/{MARKER}"
        bucket = path.partition("/")[0]
        try:
            with store.open_output_stream(path):
                pass
        except OSError as error:
            if _has_no_bucket(store, bucket):
                what, hint = f"there is no bucket {bucket!r}", "create it, or choose another output"
            else:
                what = f"the folder can't be written: {_first_sentence(error)}"
                hint = "check the credentials and their right to write"
            raise DataError(what, where=url, hint=hint) from error
        try:
            store.delete_file(path)
        except OSError as error:
            logger.info("%s: the file %s can't be deleted: %s", url, MARKER, _first_sentence(error))


def _has_no_bucket(store: fs.FileSystem, bucket: str) -> bool:
    from pyarrow import fs

    try:
        return bool(store.get_file_info(bucket).type == fs.FileType.NotFound)
    except OSError:  # it may not be listed
        return False


def delete_remote(url: str) -> None:
    """Deletes a file of a store, if there is one.

    Raises:
        DataError: the store can't be written.
    """
    with _store(url) as (store, path):
        if store.get_file_info(path).is_file:
            store.delete_file(path)


def joined(url: str, name: str) -> str:
    """Returns the URL of a file in a remote folder.

    Args:
        url: the folder.
        name: name of the file.
    """
    start, query = _without_query(url)
    return f"{start.rstrip('/')}/{name}{query}"


def folder_of(url: str) -> str:
    """Returns the URL of the folder that a remote file is in."""
    start, query = _without_query(url)
    return f"{start.rstrip('/').rpartition('/')[0]}{query}"


def _without_query(url: str) -> tuple[str, str]:
    start, mark, query = url.partition("?")
    return start, mark + query


@contextmanager
def _store(url: str) -> Iterator[tuple[fs.FileSystem, str]]:
    """Opens the store of a URL, and converts its errors."""
    scheme = checked_scheme(url)
    if scheme in WEB:
        raise DataError("a web server can't be written", where=url, hint="write a file, s3:// or gs://")
    import pyarrow as pa
    from pyarrow import fs

    try:
        store, path = fs.FileSystem.from_uri(url)
        yield store, path
    except (pa.ArrowNotImplementedError, ImportError) as error:
        hint = "pip install pyarrow, whose wheels contain S3 and Google Cloud Storage"
        raise DataError(f"this pyarrow has no support of {scheme}://", where=url, hint=hint) from error
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
            raise  # an error of the local disk
        hint = "check name, credentials and network"
        raise DataError(f"the store refuses: {_first_sentence(error)}", where=url, hint=hint) from error


def _missing(url: str, store: Any, path: str) -> DataError:
    from pyarrow import fs

    folder = path.rstrip("/").rpartition("/")[0]
    near = store.get_file_info(fs.FileSelector(folder, allow_not_found=True)) if folder else []
    names = [one.base_name for one in near[:1000] if one.is_file]
    return DataError("no such file", where=url, hint=did_you_mean(remote_name(url), names, noun="file"))


def _first_sentence(error: Exception) -> str:
    return str(error).partition("; Details")[0].partition(" (Request ID")[0]


def _download(url: str, target: Path) -> None:
    """Downloads a file of a web server. Failures that can pass are tried again."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _download_once(url, target)
            return
        except HTTPError as error:
            if error.code < 500 or attempt == ATTEMPTS:
                hint = "check the name, and whether a login is needed"
                raise DataError(f"the server answers {error.code} {error.reason}", where=url, hint=hint) from error
        except (HTTPException, OSError) as error:
            if attempt == ATTEMPTS or (isinstance(error, OSError) and error.filename is not None):
                if isinstance(error, OSError) and error.filename is not None:
                    raise
                what = f"can't be downloaded: {getattr(error, 'reason', error)}"
                raise DataError(what, where=url, hint="check name and network") from error
        time.sleep(2.0 ** (attempt - 1))


def _download_once(url: str, target: Path) -> None:
    request = Request(url, headers={"User-Agent": "mammal"})
    with urlopen(request, timeout=TIMEOUT_SECONDS) as answer, target.open("wb") as copy:
        shutil.copyfileobj(answer, copy, _BLOCK)
        promised, written = answer.headers.get("Content-Length"), copy.tell()
    if promised is not None and int(promised) != written:
        raise HTTPException(f"the connection ended after {written:,} of {int(promised):,} bytes")
