"""`mammal push`: a bundle goes to a hub and comes back with the same answers. The hub is a small server, see `Hub`."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from safetensors.numpy import load_file, save_file

import mammal
from mammal.bundle.adaptation import adapted_from
from mammal.bundle.folder import read_bundle, save_bundle
from mammal.bundle.push import bundle_files
from mammal.cli import main
from mammal.errors import BundleError, ConfigError

TOKEN = "hf_of_these_tests"


class Hub(ThreadingHTTPServer):
    """The calls of the Hugging Face hub that huggingface_hub makes to upload and to download a model without Xet.

    Attributes:
        repos: repository -> branch -> file name -> contents.
        public: repositories that are public.
        answer: status of every answer, instead of doing anything; None: do it.
        full: whether the storage refuses large files.
        commits: number of commits.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repos: dict[str, dict[str, dict[str, bytes]]] = {}
        self.public: set[str] = set()
        self.objects: dict[str, bytes] = {}
        self.shas: dict[str, tuple[str, dict[str, bytes]]] = {}
        self.answer: int | None = None
        self.full = False
        self.commits = 0
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def sha_of(self, repo: str, branch: str) -> str:
        """A commit hash of 40 digits, under which the files of a branch can be read."""
        files = self.repos[repo][branch]
        digest = hashlib.sha1(repr((repo, sorted((name, _sha256(data)) for name, data in files.items()))).encode())
        self.shas[digest.hexdigest()] = (repo, dict(files))
        return digest.hexdigest()

    def files_at(self, repo: str, revision: str) -> dict[str, bytes] | None:
        if revision in self.shas:
            return self.shas[revision][1]
        return self.repos.get(repo, {}).get(revision)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _is_large(name: str) -> bool:
    return name.endswith(".safetensors")


def _entry(name: str, data: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
    return entry | ({"lfs": {"oid": _sha256(data), "size": len(data), "pointerSize": 1}} if _is_large(name) else {})


class Handler(BaseHTTPRequestHandler):
    """One request to a `Hub`."""

    server: Hub

    def log_message(self, *_: object) -> None:
        pass

    def _send(self, status: int, content: Any = None, headers: dict[str, str] | None = None) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content or {}).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _route(self) -> None:
        body, path, hub = self._body(), unquote(urlsplit(self.path).path), self.server
        if hub.answer is not None:
            return self._send(hub.answer, {"error": "not today"})
        if path.startswith("/objects/"):
            hub.objects[path.rpartition("/")[2]] = body
            return self._send(403 if hub.full else 200)
        if self.command == "POST" and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._send(401, {"error": "Invalid username or password."})
        if path == "/api/validate-yaml":
            return self._send(200, {"errors": [], "warnings": []})
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if found := re.fullmatch(r"/(.+/.+)\.git/info/lfs/objects/batch", path):
            return self._batch(json.loads(body))
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(\w[\w-]*)/([^/]+)/?)?", path):
            repo, verb, revision = found.groups()
            return self._of_repo(repo, verb or "revision", revision or "main", body)
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self._resolve(*found.groups())
        return self._send(404)

    do_GET = do_HEAD = do_POST = do_PUT = _route

    def _create(self, asked: dict[str, Any]) -> None:
        repo = f"{asked['organization']}/{asked['name']}"
        if asked["organization"] == "someone-else":
            return self._send(403, {"error": "You don't have the rights to create a model under this namespace"})
        if repo in self.server.repos:
            return self._send(409, {"error": "You already created this model repo", "url": f"{self.server.url}/{repo}"})
        self.server.repos[repo] = {"main": {".gitattributes": b""}}
        if asked.get("visibility") != "private" and not asked.get("private"):
            self.server.public.add(repo)
        return self._send(200, {"url": f"{self.server.url}/{repo}"})

    def _batch(self, asked: dict[str, Any]) -> None:
        upload = [
            {**o, "actions": {"upload": {"href": f"{self.server.url}/objects/{o['oid']}"}}} for o in asked["objects"]
        ]
        self._send(200, {"objects": upload, "transfer": "basic"})

    def _of_repo(self, repo: str, verb: str, revision: str, body: bytes) -> None:
        hub = self.server
        files = hub.files_at(repo, revision)
        if verb == "branch" and repo in hub.repos:
            known = revision in hub.repos[repo]
            hub.repos[repo].setdefault(revision, dict(hub.repos[repo]["main"]))
            return self._send(409 if known else 200)
        if files is None:
            code = "RevisionNotFound" if repo in hub.repos else "RepoNotFound"
            return self._send(404, {"error": "not found"}, {"X-Error-Code": code})
        if verb == "revision":
            private = repo not in hub.public
            return self._send(200, {"id": repo, "sha": hub.sha_of(repo, revision), "private": private})
        if verb == "tree":
            return self._send(200, [_entry(name, data) for name, data in files.items()])
        if verb == "paths-info":
            asked = re.findall(r"paths=([^&]+)", body.decode()) or json.loads(body)["paths"]
            return self._send(200, [_entry(name, files[name]) for name in asked if name in files])
        if verb == "preupload":
            modes = [
                (file["path"], "lfs" if _is_large(file["path"]) else "regular") for file in json.loads(body)["files"]
            ]
            return self._send(
                200, {"files": [{"path": path, "uploadMode": mode, "shouldIgnore": False} for path, mode in modes]}
            )
        assert verb == "commit"
        return self._commit(repo, revision, [json.loads(line) for line in body.splitlines()])

    def _commit(self, repo: str, branch: str, lines: list[dict[str, Any]]) -> None:
        hub, files = self.server, self.server.repos[repo][branch]
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = hub.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        hub.commits += 1
        sha = hub.sha_of(repo, branch)
        self._send(200, {"commitUrl": f"{hub.url}/{repo}/commit/{sha}", "commitOid": sha, "pullRequestUrl": None})

    def _resolve(self, repo: str, revision: str, name: str) -> None:
        data = (self.server.files_at(repo, revision) or {}).get(name)
        if data is None:
            return self._send(404, {}, {"X-Error-Code": "EntryNotFound"})
        sha = revision if revision in self.server.shas else self.server.sha_of(repo, revision)
        return self._send(200, data, {"X-Repo-Commit": sha, "ETag": f'"{_sha256(data)}"'})


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A running hub, which huggingface_hub uses with a token and an empty cache."""
    from huggingface_hub import constants

    server = Hub()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    settings = {"ENDPOINT": server.url, "HF_HUB_OFFLINE": False, "HF_HUB_DISABLE_XET": True}
    settings["HUGGINGFACE_CO_URL_TEMPLATE"] = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    for name, value in {**settings, "HF_HUB_CACHE": str(tmp_path / "cache")}.items():
        monkeypatch.setattr(constants, name, value)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no_token"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy of a bundle with a licence, and with files that are no part of a bundle."""
    folder = tmp_path / "mine"
    shutil.copytree(tiny_bundle, folder)
    (folder / "LICENSE").write_text("the licence\n")
    (folder / "notes.txt").write_text("private notes\n")
    (folder / "last.ckpt").write_bytes(b"a checkpoint")
    return folder


def test_a_pushed_bundle_gives_the_same_answers(hub: Hub, bundle: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["push", f"bundle={bundle}", "repo=me/model", "message=the first, (really)"]) == 0
    written = capsys.readouterr()
    assert f"{hub.url}/me/model/commit/" in written.out and 'mammal.load("me/model")' in written.err
    assert TOKEN not in written.out + written.err
    stored = hub.repos["me/model"]["main"]
    assert sorted(stored) == sorted([*bundle_files(bundle), ".gitattributes"])
    assert {"LICENSE", "README.md", "model.safetensors"} <= stored.keys() and not {
        "notes.txt",
        "last.ckpt",
    } & stored.keys()
    assert 'mammal.load("me/model")' in stored["README.md"].decode() and hub.commits == 1

    rows = ["CCO", "c1ccccc1", "no molecule"]
    here, there = mammal.load(bundle), mammal.load("me/model")
    assert there.folder != here.folder and (there.folder / "LICENSE").is_file()
    for task in ("bbbp", "melting_point"):
        assert there.predict(rows, task).equals(here.predict(rows, task))
    assert there.metrics == here.metrics


def test_a_second_push_replaces_the_files_of_the_first(hub: Hub, bundle: Path):
    model = mammal.load(bundle)
    model.push_to_hub("me/model")
    hub.repos["me/model"]["main"]["of_others.txt"] = b"stays"
    (bundle / "LICENSE").unlink()
    done = model.push_to_hub("me/model", message="without a licence")
    assert "LICENSE" not in done.files and done.revision == "main"
    assert "LICENSE" not in hub.repos["me/model"]["main"] and "of_others.txt" in hub.repos["me/model"]["main"]


def test_a_branch_is_made(hub: Hub, bundle: Path):
    for _ in range(2):
        assert mammal.push_to_hub(bundle, "me/model", revision="v2").revision == "v2"
    assert "model.safetensors" in hub.repos["me/model"]["v2"]
    assert "model.safetensors" not in hub.repos["me/model"]["main"]
    assert mammal.push_to_hub(bundle, "me/model", revision="").revision == "main"


def test_a_private_bundle_does_not_go_to_a_public_repository(hub: Hub, bundle: Path):
    mammal.push_to_hub(bundle, "me/private", private=True)
    assert "me/private" not in hub.public
    mammal.push_to_hub(bundle, "me/public", private=False)
    commits = hub.commits
    with pytest.raises(ConfigError, match="is public") as caught:
        mammal.push_to_hub(bundle, "me/public", private=True)
    assert "nothing was uploaded" in (caught.value.hint or "") and hub.commits == commits


def test_texts_of_training_rows_need_a_yes(hub: Hub, bundle: Path, caplog: pytest.LogCaptureFixture):
    import numpy as np

    arrays = {"bbbp/bits": np.zeros((2, 4), dtype=np.uint8)}
    save_file(arrays, bundle / "training_rows.safetensors")
    mammal.push_to_hub(bundle, "me/model")
    save_file({**arrays, "bbbp/rows": np.zeros(3, dtype=np.uint8)}, bundle / "training_rows.safetensors")
    with pytest.raises(ConfigError, match=r"inputs and labels of training rows \(bbbp\)") as caught:
        mammal.push_to_hub(bundle, "me/model")
    assert "rows=true" in (caught.value.hint or "") and hub.commits == 1
    mammal.push_to_hub(bundle, "me/model", rows=True)
    (tmp := bundle.parent / "back.safetensors").write_bytes(hub.repos["me/model"]["main"]["training_rows.safetensors"])
    assert "bbbp/rows" in load_file(tmp) and "inputs and labels" in caplog.text


@pytest.fixture
def adapters(bundle: Path, tmp_path: Path) -> Path:
    """A bundle of the weights in which it differs from `bundle`."""
    import torch

    changed = read_bundle(bundle)
    with torch.no_grad():
        next(iter(changed.model.parameters())).mul_(2.0)
    folder = tmp_path / "adapters"
    made = adapted_from(bundle, folder, "full")
    tasks = list(changed.tasks.values())
    return save_bundle(folder, changed.model, changed.tokenizer, tasks, adaptation=made, delta=True)


def test_adapters_of_a_local_base_name_the_base_on_the_hub(
    hub: Hub, bundle: Path, adapters: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(bundle.parent)
    with pytest.raises(ConfigError, match="base model is a folder of this machine") as caught:
        mammal.push_to_hub(adapters, "me/adapters")
    assert "mammal push bundle=mine repo=OWNER/BASE" in (caught.value.hint or "") and not hub.repos

    with pytest.raises(BundleError, match="no such repository") as missing:
        mammal.push_to_hub(adapters, "me/adapters", base="me/base")
    assert missing.value.where == "me/base"

    mammal.push_to_hub(bundle, "me/base")
    mammal.push_to_hub(adapters, "me/adapters", base="me/base")
    expected = mammal.load(adapters).predict(["CCO"], "melting_point")
    adapters.rename(bundle.parent / "moved")
    bundle.rename(bundle.parent / "gone")
    assert mammal.load("me/adapters").predict(["CCO"], "melting_point").equals(expected)


def test_a_base_with_other_weights_is_refused(hub: Hub, adapters: Path, small_bundle: Callable[..., Path]):
    mammal.push_to_hub(small_bundle("bbbp"), "me/other")
    with pytest.raises(BundleError, match="other weights than the base"):
        mammal.push_to_hub(adapters, "me/adapters", base="me/other")
    with pytest.raises(ConfigError, match="records no base"):
        mammal.push_to_hub(small_bundle("bbbp"), "me/model", base="me/other")


@pytest.mark.parametrize("repo", ["model", "a/b/c", "me/", "me/mo del", "me/model.git", "me/-x"])
def test_wrong_names_are_refused(repo: str, tiny_bundle: Path):
    with pytest.raises(ConfigError, match="not the name of a repository") as caught:
        mammal.push_to_hub(tiny_bundle, repo)
    assert "OWNER/NAME" in (caught.value.hint or "")


def test_what_is_no_bundle_is_refused(tmp_path: Path, bundle: Path):
    with pytest.raises(BundleError, match="is not a bundle"):
        mammal.push_to_hub(tmp_path, "me/model")
    with pytest.raises(BundleError, match="is a checkpoint"):
        mammal.push_to_hub(bundle / "last.ckpt", "me/model")
    shutil.rmtree(bundle / "tokenizer")
    with pytest.raises(BundleError, match="lacks tokenizer/"):
        mammal.push_to_hub(bundle, "me/model")


def test_the_tokenizer_can_be_a_link(bundle: Path):
    before = bundle_files(bundle)
    (bundle / "tokenizer").rename(bundle.parent / "elsewhere")
    (bundle / "tokenizer").symlink_to(bundle.parent / "elsewhere")
    (bundle / "loop").symlink_to(bundle)
    assert bundle_files(bundle) == before and "tokenizer/config.yaml" in before


def test_damaged_files_are_not_uploaded(hub: Hub, bundle: Path):
    (bundle / "metrics.json").unlink()
    (bundle / "metrics.json").symlink_to("nowhere")
    with pytest.raises(BundleError, match=r"metrics\.json: is a link to a file that does not exist"):
        mammal.push_to_hub(bundle, "me/model")
    (bundle / "metrics.json").unlink()
    card = (bundle / "README.md").read_bytes()
    (bundle / "README.md").write_bytes(b"caf\xe9")
    with pytest.raises(BundleError, match="not UTF-8"):
        mammal.push_to_hub(bundle, "me/model")
    (bundle / "README.md").write_bytes(card)
    weights = (bundle / "model.safetensors").read_bytes()
    (bundle / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(BundleError, match="not a valid safetensors file"):
        mammal.push_to_hub(bundle, "me/model")
    assert not hub.repos


def test_a_model_without_a_folder_is_saved_first(tiny_bundle: Path):
    read = mammal.load(tiny_bundle)
    with pytest.raises(BundleError, match="not read from a folder"):
        mammal.Mammal(read.model, read.tokenizer).push_to_hub("me/model")


def test_no_token(hub: Hub, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.delenv("HF_TOKEN")
    assert main(["push", f"bundle={tiny_bundle}", "repo=me/model"]) == 2
    written = capsys.readouterr().err
    assert "no token" in written and "hf auth login" in written and not hub.repos


def test_a_wrong_token_and_a_foreign_owner(hub: Hub, tiny_bundle: Path):
    with pytest.raises(BundleError, match="does not accept the token") as caught:
        mammal.push_to_hub(tiny_bundle, "me/model", token="hf_wrong")
    assert "hf_wrong" not in f"{caught.value} {caught.value.hint}"
    with pytest.raises(BundleError, match="may not write here"):
        mammal.push_to_hub(tiny_bundle, "someone-else/model")


@pytest.mark.parametrize(
    ("status", "what"),
    [(404, "no such repository"), (500, "answers 500"), (429, "further requests"), (200, "not answer as a hub")],
)
def test_refusals_of_the_hub(status: int, what: str, hub: Hub, tiny_bundle: Path):
    hub.answer = status
    with pytest.raises(BundleError, match=what) as caught:
        mammal.push_to_hub(tiny_bundle, "me/model")
    assert caught.value.where == "me/model" and caught.value.hint and "nothing was committed" in caught.value.hint


def test_a_file_that_is_not_stored_is_named(hub: Hub, tiny_bundle: Path):
    hub.full = True
    with pytest.raises(BundleError, match=r"the upload failed: .*403") as caught:
        mammal.push_to_hub(tiny_bundle, "me/model")
    assert "nothing was committed" in (caught.value.hint or "") and not hub.commits


def test_no_network(hub: Hub, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(BundleError, match=r"127\.0\.0\.1:9 can't be reached") as caught:
        mammal.push_to_hub(tiny_bundle, "me/model")
    assert "HF_ENDPOINT" in (caught.value.hint or "")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(BundleError, match="HF_HUB_OFFLINE is set"):
        mammal.push_to_hub(tiny_bundle, "me/model")
