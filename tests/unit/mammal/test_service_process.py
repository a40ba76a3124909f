"""`mammal serve` as a process: signals, standard input and output, the command line, what its log contains."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("mcp")

import httpx

from mammal.cli import main
from mammal.service import server


@pytest.mark.slow
def test_sigterm_finishes_every_accepted_request(service_process: Callable[..., Any], tiny_bundle: Path):
    service = service_process(tiny_bundle, "wait=20")
    service.until_ready()
    many = [f"{'C' * (1 + i % 40)}O" for i in range(60)]
    answers: list[int] = []
    enough = threading.Event()

    def client(number: int) -> None:
        while True:
            body = {"data": many[number:], "task": "bbbp"}
            try:
                answer = httpx.post(service.url + "/predict", json=body, timeout=60)
            except httpx.TransportError:  # the service listens no more
                return
            if answer.status_code == 200:
                assert len(answer.json()["rows"]) == len(many) - number
            answers.append(answer.status_code)
            if len(answers) > 25:
                enough.set()

    clients = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for one in clients:
        one.start()
    assert enough.wait(60)
    assert service.stop() == 0
    for one in clients:
        one.join(30)
    line = service.output().splitlines()[-1]
    assert line == f"stopped: {answers.count(200):,} requests accepted, {answers.count(200):,} answered"
    assert set(answers) == {200}


@pytest.mark.slow
def test_the_log_contains_nothing_of_a_request(service_process: Callable[..., Any], tiny_bundle: Path):
    service = service_process(tiny_bundle)
    service.until_ready()
    secret = "C1CCCCC1SECRET"
    rows = [{"Molecule": smiles, "SECRET": "x"} for smiles in ("CCO", secret, "MKTAYIAKQRQISFVKSHFSRQLEERLG")]
    status, answer = service.post("/predict", {"data": rows, "task": "bbbp"})
    assert status == 200 and secret in answer["rows"][1]["error"]
    assert answer["notes"] == ["column 'Molecule' is read as 'smiles'"]
    assert service.post("/predict", {"SECRET": secret})[0] == 422
    assert service.post("/predict", {"data": ["C"], "task": "SECRET"})[0] == 400
    call = {"name": "predict", "arguments": {"SECRET": secret, "data": 3}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    status, answer = service.post("/mcp", message, accept="application/json, text/event-stream")
    assert status == 200 and answer["result"]["isError"]
    assert service.stop() == 0
    assert "SECRET" not in service.output()


@pytest.mark.slow
def test_mcp_on_standard_input_and_output(tiny_bundle: Path):
    from mcp import Client, StdioServerParameters

    words = ["-m", "mammal.cli", "serve", f"bundle={tiny_bundle}", "transport=stdio"]
    started = StdioServerParameters(command=sys.executable, args=words)

    async def talk() -> Any:
        async with Client(started) as client:
            return await client.call_tool("predict", {"data": ["CCO", "C1CC"], "task": "bbbp"})

    rows = asyncio.run(asyncio.wait_for(talk(), 60)).structured_content["rows"]
    assert rows[0]["prediction"] in ("0", "1") and "unclosed ring" in rows[1]["error"]


@pytest.mark.parametrize(
    ("words", "what", "hint"),
    [
        (["host=0.0.0.0"], "no API key", "MAMMAL_API_KEY"),
        (["transport=grpc"], "no transport 'grpc'", "http, stdio"),
        (["prot=9000"], "prot", "port"),
        (["max_rows=0"], "max_rows", "1 or more"),
        (["bundle=no/such/bundle"], "no/such/bundle", ""),
    ],
)
def test_mistakes_are_reported_before_anything_listens(
    tiny_bundle: Path, capsys: Any, monkeypatch: Any, words: list[str], what: str, hint: str
):
    monkeypatch.delenv(server.KEY_VARIABLE, raising=False)
    monkeypatch.setattr(server, "_socket", lambda *_: pytest.fail("it listens"))
    assert main(["serve", f"bundle={tiny_bundle}", *words]) in (1, 2)
    said = capsys.readouterr().err
    assert what in said and hint in said and "Traceback" not in said


def test_a_port_in_use_and_a_missing_package_say_what_to_do(tiny_bundle: Path, capsys: Any, monkeypatch: Any):
    with server._socket("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", f"bundle={tiny_bundle}", f"port={port}"]) == 2
    said = capsys.readouterr().err
    assert f"127.0.0.1:{port}: can't listen" in said and "port=0" in said
    monkeypatch.setattr(server, "find_spec", lambda name: None if name == "mcp" else object())
    assert main(["serve", f"bundle={tiny_bundle}"]) == 2
    said = capsys.readouterr().err
    assert "mcp is not installed" in said and "pip install 'mammal[serve]'" in said


def test_a_bundle_that_cannot_be_loaded_ends_the_service(tiny_bundle: Path, tmp_path: Path, capsys: Any):
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(tiny_bundle, broken)
    (broken / "model.safetensors").write_bytes(b"damaged")
    assert main(["serve", f"bundle={broken}", "port=0"]) == 1
    assert "model.safetensors" in capsys.readouterr().err


def test_one_task_of_several_is_served(tiny_bundle: Path):
    options = dict.fromkeys(("tokenizer", "batch_tokens"), None) | {"device": "cpu", "dtype": "float32"}
    model = server.open_model({"bundle": str(tiny_bundle), "task": ["bbbp", "esol"], **options})
    assert list(model.tasks) == ["bbbp", "esol"]
