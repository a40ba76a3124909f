"""An output in a remote store: the job writes it on this machine, and uploads it when it is complete.

The shards of an unfinished job are in the folder `outputs` of the cache (`MAMMAL_CACHE`, by default `~/.cache/mammal`),
under a name that depends on the URL. The same command on the same machine continues there. Before the first row is
answered, the job checks that the place can be written. The manifest is uploaded last: an output without a manifest is
not complete.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from mammal.errors import ConfigError, DataError, JobError
from mammal.jobs.manifest import Manifest
from mammal.jobs.parts import Part
from mammal.jobs.parts_store import PartsStore
from mammal.jobs.store import ShardCounts, Store
from mammal.jobs.tables import OutputFormat
from mammal.tasks.sources.kept import cache_folder
from mammal.tasks.tables.remote import (
    WEB,
    check_writable,
    checked_scheme,
    delete_remote,
    exists_remote,
    folder_of,
    is_remote,
    joined,
    list_remote,
    read_remote,
    remote_name,
    upload,
)


def output_store(output: Any, form: OutputFormat | None = None) -> Store:
    """Returns the files of an output: a file or, if its name ends with `/`, a folder of Parquet parts; here or remote.

    Args:
        output: path or URL.
        form: how a file is written. None: as a table, in the format of its suffix.

    Raises:
        ConfigError: the output is on a web server, or a folder is given for a format that is not a table.
    """
    place = str(output)
    folder = place.endswith("/")
    if folder and form is not None:
        raise ConfigError("a folder is for Parquet parts", where=place, hint="name a file")
    if not is_remote(place):
        path = Path(place).expanduser()
        return PartsStore(path) if folder else Store(path, form)
    if checked_scheme(place) in WEB:
        raise ConfigError("a web server can't be written", where=place, hint="write a file, s3:// or gs://")
    return _RemoteParts(place) if folder else _RemoteFile(place, form)


class _Remote(Store):
    """Part of a store that uploads what the other part has written on this machine."""

    url: str

    @property
    def manifest_url(self) -> str:
        raise NotImplementedError

    @property
    def shown_output(self) -> Path | str:
        return self.url

    @property
    def written_url(self) -> str | None:
        return self.url

    @contextmanager
    def locked(self, part: Part | None = None, *, patience: float = 0.0) -> Iterator[None]:
        try:
            with super().locked(part, patience=patience):
                yield
        finally:
            with suppress(OSError):  # shards of an unfinished job are in it
                self.output.parent.rmdir()

    def begin(self, manifest: Manifest, *, resume: bool) -> Manifest:
        uploaded = _manifest_at(self.manifest_url)
        if resume and uploaded is not None and uploaded.complete:
            manifest.require_same(uploaded, self.url)
            return uploaded
        begun_here = any(Manifest.read(place) for place in (self.parts / "manifest.json", self.manifest_path))
        if resume and uploaded is None and not begun_here and exists_remote(self.url):
            what = "the output exists already, and was not written by a job"
            raise JobError(what, where=self.url, hint="choose another output, or replace it with resume=false")
        self._check_writable()
        begun = super().begin(manifest, resume=resume)
        if begun.complete:  # an earlier run could not upload it
            self._upload()
        return begun

    def _check_writable(self) -> None:
        """Refuses a place that can't be written, so that no hours of work wait for an upload that fails."""
        try:
            check_writable(folder_of(self.manifest_url))
        except DataError as error:
            raise JobError(error.what, where=self.url, hint=error.hint) from error

    def finish(self, manifest: Manifest, shards: int, total: ShardCounts, schema: pa.Schema) -> None:
        super().finish(manifest, shards, total, schema)
        self._upload()

    def _upload(self) -> None:
        """Uploads everything, the manifest last, and removes it from this machine."""
        delete_remote(self.manifest_url)
        self._upload_rest()
        upload(self.manifest_path, self.manifest_url)
        shutil.rmtree(self.output.parent)

    def _upload_rest(self) -> None:
        raise NotImplementedError


class _RemoteFile(_Remote):
    def __init__(self, url: str, form: OutputFormat | None):
        super().__init__(_scratch(url) / remote_name(url), form)
        self.url = url

    @property
    def manifest_url(self) -> str:
        return self._beside(self.manifest_path)

    @property
    def shown_errors(self) -> Path | str | None:
        return self._beside(self.errors)

    def _beside(self, file: Path) -> str:
        return joined(folder_of(self.url), file.name)

    def _upload_rest(self) -> None:
        if not self.errors.exists():
            delete_remote(self._beside(self.errors))
        for file in sorted(self.output.parent.iterdir()):
            if file.is_file() and file != self.manifest_path:
                upload(file, self._beside(file))


class _RemoteParts(_Remote, PartsStore):
    def __init__(self, url: str):
        PartsStore.__init__(self, _scratch(url) / (remote_name(url) or "output"))
        self.url = url

    @property
    def manifest_url(self) -> str:
        return joined(self.url, self.manifest_path.name)

    @property
    def shown_errors(self) -> Path | str | None:
        return joined(self.url, self.errors.name)

    def _upload_rest(self) -> None:
        here = {file.name: file for file in sorted(self.output.iterdir()) if file != self.manifest_path}
        for url in list_remote(self.url) or []:
            if remote_name(url).startswith(("part-", "_errors")) and remote_name(url) not in here:
                delete_remote(url)
        for name, file in here.items():
            upload(file, joined(self.url, name))


def _scratch(url: str) -> Path:
    """Folder of this machine in which the output of a URL is written."""
    return cache_folder() / "outputs" / hashlib.blake2b(url.encode(), digest_size=12).hexdigest()


def _manifest_at(url: str) -> Manifest | None:
    content = read_remote(url)
    try:
        return None if content is None else Manifest.of_json(json.loads(content))
    except ValueError:
        return None
