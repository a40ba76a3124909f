"""Inputs and outputs in remote stores: a local server with the interface of S3, and a local web server."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from mammal.cli import main
from mammal.errors import ConfigError, DataError, JobError
from mammal.jobs import remote_store
from mammal.jobs.names_job import _cells
from mammal.jobs.properties_job import properties_job
from mammal.rows.tables import read_data
from mammal.tasks.tables import remote

LIBRARY = "smiles,id\nCCO,1\nC1CC,2\nCC,3\n"


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """A server with the interface of S3 that forgets everything at the end."""
    lacking = [name for name in ("moto", "flask", "flask_cors") if find_spec(name) is None]
    if lacking:
        pytest.skip(f"{', '.join(lacking)} of the extra dev: not installed, so there is no local S3 server")
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """URL of an empty bucket."""
    import boto3

    settings = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "us-east-1"}
    more = {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "MAMMAL_CACHE": str(tmp_path / "kept"),
    }
    for name, value in (settings | more).items():
        monkeypatch.setenv(name, value)
    name = f"b{abs(hash(request.node.name))}"
    boto3.client("s3", endpoint_url=s3_endpoint).create_bucket(Bucket=name)
    return f"s3://{name}"


def put(url: str, content: bytes, folder: Path) -> str:
    file = folder / "put"
    file.write_bytes(content)
    remote.upload(file, url)
    return url


def names(url: str) -> list[str]:
    return [remote.remote_name(one) for one in remote.list_remote(url) or []]


def run(given: Any, output: Any, **how: Any) -> Any:
    return properties_job(given, output, properties=["heavy_atoms"], workers=0, **{"shard_rows": 2, **how})


def test_a_remote_file_is_read_as_a_local_one(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "lib.csv").write_text(LIBRARY)
    url = put(f"{bucket}/lib.csv.gz", gzip.compress(LIBRARY.encode()), tmp_path)
    run(tmp_path / "lib.csv", tmp_path / "local.csv")
    run(url, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "local.csv").read_bytes()


def test_patterns_and_folders_of_a_bucket(bucket: str, tmp_path: Path) -> None:
    for name in ("lib/a.csv", "lib/b.csv", "lib/deep/c.csv", "lib/notes.txt", "other/d.csv"):
        put(f"{bucket}/{name}", f"smiles,id\nC,{name}\n".encode(), tmp_path)
    for number, (given, expected) in enumerate(
        [
            (f"{bucket}/lib/", ["lib/a.csv", "lib/b.csv"]),
            (f"{bucket}/lib/*.csv", ["lib/a.csv", "lib/b.csv"]),
            (f"{bucket}/*/*.csv", ["lib/a.csv", "lib/b.csv", "other/d.csv"]),
            (f"{bucket}/lib/**/*.csv", ["lib/a.csv", "lib/b.csv", "lib/deep/c.csv"]),
            ([f"{bucket}/other/d.csv", f"{bucket}/lib/a.csv"], ["other/d.csv", "lib/a.csv"]),
        ]
    ):
        run(given, tmp_path / f"{number}.csv", file_column="source")
        frame = pd.read_csv(tmp_path / f"{number}.csv")
        assert frame["id"].tolist() == expected
        assert frame["source"].tolist() == [f"{bucket}/{name}" for name in expected]


def test_a_missing_remote_file_is_named_with_the_nearest(bucket: str, tmp_path: Path) -> None:
    put(f"{bucket}/lib.csv", LIBRARY.encode(), tmp_path)
    for given, reported in [
        (f"{bucket}/lbi.csv", r"lbi\.csv: no such file \(did you mean lib\.csv\?\)"),
        (f"{bucket}/lb*.csv", r"no file has such a name.*lib\.csv"),
        ("s4://bucket/lib.csv", r"files can't be read from s4://.*did you mean s3"),
        ("file:///lib.csv", "without file://"),
        (f"{bucket}/none/", "no file of a known format"),
    ]:
        with pytest.raises(DataError, match=reported):
            run(given, tmp_path / "out.csv")


def test_an_error_in_a_remote_file_names_its_url(bucket: str, tmp_path: Path) -> None:
    url = put(f"{bucket}/lib.csv", b'smiles\n"C\n', tmp_path)
    with pytest.raises(DataError, match=rf"{url}:2: a quote"):
        run(url, tmp_path / "out.csv")


def test_a_remote_output_appears_whole_with_its_manifest_last(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lib.csv").write_text(LIBRARY)
    run(tmp_path / "lib.csv", tmp_path / "local.csv")
    url, order = f"{bucket}/results/out.csv", []
    upload = remote.upload
    monkeypatch.setattr(
        remote_store, "upload", lambda file, to: (order.append(remote.remote_name(to)), upload(file, to))
    )
    report = run(tmp_path / "lib.csv", url)
    assert report.output == url and report.errors == f"{bucket}/results/out.errors.csv"
    assert order == ["out.csv", "out.errors.csv", "out.csv.manifest.json"]
    assert names(f"{bucket}/results") == ["out.csv", "out.csv.manifest.json", "out.errors.csv"]
    assert remote.read_remote(url) == (tmp_path / "local.csv").read_bytes()
    assert not list((tmp_path / "kept" / "outputs").iterdir()), "nothing stays on this machine"
    assert run(tmp_path / "lib.csv", url).rows == 3 and len(order) == 3, "a complete job does nothing"
    assert [cell for cells in _cells(url, "heavy_atoms") for cell in cells] == ["3.0", "", "2.0"]


def test_an_unfinished_remote_job_shows_nothing_and_goes_on(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupted: Callable[..., None]
) -> None:
    (tmp_path / "lib.csv").write_text(LIBRARY)
    with monkeypatch.context() as patch:
        interrupted(patch, 1)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "lib.csv", f"{bucket}/out.csv")
    assert names(bucket) == []
    report = run(tmp_path / "lib.csv", f"{bucket}/out.csv")
    assert report.resumed == 2 and "out.csv" in names(bucket)


@pytest.mark.parametrize("name", ["out.csv", "deep/out.csv", "scores/"])
def test_a_missing_bucket_is_reported_before_any_row(
    bucket: str, tmp_path: Path, interrupted: Callable[..., None], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "lib.csv").write_text(LIBRARY)
    interrupted(monkeypatch, 0)
    with pytest.raises(JobError, match=rf"{bucket}x/{name}: there is no bucket '{bucket[5:]}x' \(create it"):
        run(tmp_path / "lib.csv", f"{bucket}x/{name}")
    assert not list((tmp_path / "kept" / "outputs").iterdir()), "nothing stays on this machine"


def test_a_bucket_that_may_not_be_written_is_reported_before_any_row(
    bucket: str, s3_endpoint: str, tmp_path: Path, interrupted: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3

    (tmp_path / "lib.csv").write_text(LIBRARY)
    resource = f"arn:aws:s3:::{bucket[5:]}/*"
    denied = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": resource}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [denied]})
    boto3.client("s3", endpoint_url=s3_endpoint).put_bucket_policy(Bucket=bucket[5:], Policy=policy)
    interrupted(monkeypatch, 0)
    with pytest.raises(JobError, match=rf"{bucket}/deep/out.csv: the folder can't be written: .*right to write"):
        run(tmp_path / "lib.csv", f"{bucket}/deep/out.csv")


def test_the_check_leaves_no_file_and_needs_no_right_to_delete(bucket: str, s3_endpoint: str) -> None:
    import boto3

    client = boto3.client("s3", endpoint_url=s3_endpoint)
    remote.check_writable(f"{bucket}/a/b")
    remote.check_writable(bucket)
    assert remote.list_remote(f"{bucket}/", deep=True) == []
    denied = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:DeleteObject",
        "Resource": f"arn:aws:s3:::{bucket[5:]}/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [denied]})
    client.put_bucket_policy(Bucket=bucket[5:], Policy=policy)
    remote.check_writable(f"{bucket}/a")


def test_an_upload_that_fails_is_repeated_alone(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupted: Callable[..., None]
) -> None:
    (tmp_path / "lib.csv").write_text(LIBRARY)

    def failing(*_: object) -> None:
        raise DataError("the store refuses")

    with monkeypatch.context() as patch:
        patch.setattr(remote_store, "upload", failing)
        with pytest.raises(DataError, match="refuses"):
            run(tmp_path / "lib.csv", f"{bucket}/out.csv")
    assert names(bucket) == []
    with monkeypatch.context() as patch:
        interrupted(patch, 0)  # no shard is computed again
        report = run(tmp_path / "lib.csv", f"{bucket}/out.csv")
    assert report.rows == 3 and "out.csv.manifest.json" in names(bucket)


def test_a_remote_output_is_replaced_only_on_request(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "lib.csv").write_text(LIBRARY)
    url = put(f"{bucket}/out.csv", b"mine", tmp_path)
    with pytest.raises(JobError, match=r"exists already.*resume=false"):
        run(tmp_path / "lib.csv", url)
    assert remote.read_remote(url) == b"mine"
    run(tmp_path / "lib.csv", url, resume=False)
    with pytest.raises(JobError, match="shard_rows was 2, is 3"):
        run(tmp_path / "lib.csv", url, shard_rows=3)
    (tmp_path / "lib.csv").write_text("smiles,id\nC,1\n")
    run(tmp_path / "lib.csv", url, resume=False)
    assert names(bucket) == ["out.csv", "out.csv.manifest.json"], "errors of the earlier job are gone"
    with pytest.raises(ConfigError, match="would replace the input"):
        run(url, url, resume=False, prefix="x_")


def test_remote_parts(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "lib.csv").write_text(LIBRARY)
    report = run(tmp_path / "lib.csv", f"{bucket}/scores/", shard_rows=1)
    parts = [f"part-0000{number}.parquet" for number in range(3)]
    assert names(f"{bucket}/scores") == ["_errors.parquet", "_manifest.json", *parts]
    assert report.errors == f"{bucket}/scores/_errors.parquet"
    run(f"{bucket}/scores/", tmp_path / "again.parquet", prefix="new_")
    assert pa.parquet.read_table(tmp_path / "again.parquet")["id"].to_pylist() == ["1", "3"]
    run(tmp_path / "lib.csv", f"{bucket}/scores/", shard_rows=3, resume=False)
    assert names(f"{bucket}/scores") == ["_errors.parquet", "_manifest.json", parts[0]]


def test_the_command_takes_urls(bucket: str, tmp_path: Path) -> None:
    url = put(f"{bucket}/lib.csv", LIBRARY.encode(), tmp_path)
    assert main(["properties", f"input={url}", f"output={bucket}/out.sdf", "workers=0"]) == 3
    assert names(bucket) == ["lib.csv", "out.errors.tsv", "out.sdf", "out.sdf.manifest.json"]


# The web


class _Server(SimpleHTTPRequestHandler):
    failures = 0

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        if "secret" in self.path:
            self.send_error(403)
        elif "busy" in self.path and _Server.failures:
            _Server.failures -= 1
            self.send_error(503)
        elif "short" in self.path:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"smiles\nC\n")
        else:
            self.path = self.path.replace("/busy/", "/")
            super().do_GET()


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    folder = tmp_path / "www"
    folder.mkdir()
    (folder / "lib.csv").write_text(LIBRARY)
    (folder / "lib.csv.gz").write_bytes(gzip.compress(LIBRARY.encode()))
    pd.DataFrame({"smiles": ["CCO", "C1CC", "CC"], "id": [1, 2, 3]}).to_parquet(folder / "lib.parquet")
    monkeypatch.setattr(remote.time, "sleep", lambda seconds: None)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Server, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("name", ["lib.csv", "lib.csv.gz", "lib.parquet", "lib.csv?token=a&b=[1]", "busy/lib.csv"])
def test_files_of_a_web_server(web: str, tmp_path: Path, name: str) -> None:
    _Server.failures = 2
    assert main(["properties", f"input={web}/{name}", f"output={tmp_path}/out.csv", "workers=0"]) == 3
    assert pd.read_csv(tmp_path / "out.csv")["id"].tolist() == [1, 2, 3]


def test_python_reads_a_url(web: str) -> None:
    assert read_data(f"{web}/lib.csv.gz")["id"].tolist() == ["1", "2", "3"]
    with pytest.raises(DataError, match="404"):
        read_data(f"{web}/none.smi")


@pytest.mark.parametrize(
    ("name", "reported"),
    [
        ("none.csv", "none.csv: the server answers 404"),
        ("secret.csv", "the server answers 403"),
        ("short.csv", "the connection ended after 9 of 1,000 bytes"),
        ("", "a web server has no list of its files"),
    ],
)
def test_failures_of_a_web_server_are_reported(web: str, tmp_path: Path, name: str, reported: str) -> None:
    with pytest.raises(DataError, match=reported):
        run(f"{web}/{name}", tmp_path / "out.csv")


def test_a_web_server_that_is_not_there_and_an_output_on_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote.time, "sleep", lambda seconds: None)
    with pytest.raises(DataError, match=r"127\.0\.0\.1:9/lib\.csv: can't be downloaded.*check name and network"):
        run("http://127.0.0.1:9/lib.csv", tmp_path / "out.csv")
    (tmp_path / "lib.csv").write_text(LIBRARY)
    with pytest.raises(ConfigError, match=r"a web server can't be written.*s3://"):
        run(tmp_path / "lib.csv", "https://example.org/out.csv")
