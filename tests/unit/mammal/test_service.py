"""The service over HTTP and MCP: equal answers, batches, limits, keys, cancelled requests, figures."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("mcp")

import httpx
import pandas as pd
from mcp import Client

import mammal
from mammal.cli import main
from mammal.errors import ConfigError
from mammal.generation.question import Generate
from mammal.inference.api import Mammal
from mammal.inference.questions import Predict
from mammal.service.app import Access, make_app
from mammal.service.batching import ModelThread
from mammal.service.limits import Limits
from mammal.service.mcp_tools import mcp_server
from mammal.service.notes import collected_notes, keep_requests_out_of_the_log
from mammal.service.security import check_exposure
from mammal.service.service import Service

SMILES = ["CCO", "C1CC", "CC(=O)Oc1ccccc1C(=O)O", "", "c1ccccc1", "CCN", "CC(C)=O", "CCCCCCCC", "N", "OCC(O)CO"]
KEY = "a key of sixteen characters"


@pytest.fixture(scope="module")
def model(tiny_bundle: Path) -> Mammal:
    return mammal.load(tiny_bundle)


@pytest.fixture(scope="module")
def service(model: Mammal) -> Iterator[Service]:
    made = started(model)
    yield made
    made.stop()


def started(model: Mammal, **limits: Any) -> Service:
    """A service that is ready."""
    made = Service(lambda: model, Limits(**limits))
    made.start()
    while not made.ready:
        assert made.failure is None, made.failure
        time.sleep(0.01)
    return made


@asynccontextmanager
async def client_of(service: Service, access: Access | None = None, base: str = "http://127.0.0.1") -> Any:
    app = make_app(service, access)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url=base) as client:
        yield client


def asked(service: Service, work: Callable[[httpx.AsyncClient], Awaitable[Any]], access: Access | None = None) -> Any:
    """What a coroutine with a client of the service returns."""

    async def run() -> Any:
        async with client_of(service, access) as client:
            return await work(client)

    return asyncio.run(run())


def posted(service: Service, path: str, body: Any, access: Access | None = None, **headers: str) -> httpx.Response:
    return asked(service, lambda client: client.post(path, json=body, headers=headers), access)


def same(rows: list[dict[str, Any]], frame: pd.DataFrame) -> None:
    """Rows of an answer are those of a data frame."""
    assert list(rows[0]) == list(frame.columns)
    for row, expected in zip(rows, frame.to_dict("records"), strict=True):
        for name, value in expected.items():
            if isinstance(value, float) and value == value:
                assert row[name] == pytest.approx(value, rel=1e-5), name
            else:
                assert row[name] == (None if pd.isna(value) else value), name


def test_answers_are_those_of_predict(service: Service, model: Mammal):
    for task in ("bbbp", "melting_point"):
        answer = posted(service, "/predict", {"data": SMILES, "task": task}).json()
        same(answer["rows"], model.predict(SMILES, task))
        assert answer["refused"] == 2 and answer["task"] == task
    options = {"every_label": True, "standardised": True, "prefix": "my_", "columns": {"smiles": "structure"}}
    rows = [{"id": i, "structure": smiles} for i, smiles in enumerate(SMILES)]
    answer = posted(service, "/predict", {"data": rows, "task": "bbbp", **options}).json()
    same(answer["rows"], model.predict(rows, "bbbp", **options))


def test_a_table_is_answered_as_a_file_is(service: Service, tiny_bundle: Path, tmp_path: Path, capsys: Any):
    text = 'id,smiles\n1,CCO\n2,C1CC\n3,"CCN",7\n4,\n'
    file = tmp_path / "rows.csv"
    file.write_text(text)
    assert main(["predict", f"bundle={tiny_bundle}", f"input={file}", "task=bbbp"]) == 3
    printed = capsys.readouterr().out
    answer = posted(service, "/predict", {"csv": text, "task": "bbbp"}, accept="text/csv")
    assert answer.headers["content-type"].startswith("text/csv")
    ours, theirs = (pd.read_csv(io.StringIO(one)) for one in (answer.text, printed))
    pd.testing.assert_frame_equal(ours, theirs, rtol=1e-5)
    assert ours.error.notna().sum() == 3


def test_every_verb_answers_as_the_python_api(service: Service, model: Mammal):
    sampled = posted(service, "/generate", {"task": "molecules", "n": 3, "seed": 4, "max_new_tokens": 12}).json()
    same(sampled["rows"], model.generate(task="molecules", n=3, seed=4, max_new_tokens=12))
    vectors = posted(service, "/embed", {"data": SMILES[:3], "entity": "smiles", "normalize": True}).json()
    expected = model.embed(SMILES[:3], entity="smiles", normalize=True)
    assert vectors["rows"][2]["embedding"] == pytest.approx(expected[2].tolist(), rel=1e-4, abs=1e-6)
    scores = posted(service, "/score", {"data": ["CCO", "CCN"], "targets": ["1", "0"], "task": "bbbp"}).json()
    same(scores["rows"], model.score(["CCO", "CCN"], ["1", "0"], "bbbp"))
    found = posted(service, "/properties", {"data": ["CCO", "C1CC"], "properties": ["mw", "rings"]}).json()["rows"]
    assert found[0]["mw"] == pytest.approx(46.07, abs=0.01) and found[0]["rings"] == 0
    assert found[1]["mw"] is None and "C1CC" in found[1]["error"]


def test_names_are_written_and_read(service: Service, model: Mammal):
    from mammal.tasks.names import opsin

    pytest.importorskip("openclatura")
    if opsin.why_missing() is not None:
        pytest.skip("OPSIN needs Java")
    written = posted(service, "/names", {"data": ["CCO", "C1CC"]}).json()["rows"]
    assert written[0]["iupac"] == "ethanol" and "invalid" in written[1]["error"]
    rows = [{"name": "ethanol"}, {"name": "no such thing"}]
    read = posted(service, "/predict", {"data": rows, "names": "name", "task": "bbbp"}).json()["rows"]
    same(read, model.predict(rows, "bbbp", names="name"))
    assert read[0]["smiles_read"] == "CCO"


def test_concurrent_clients_share_batches_and_get_their_own_answers(model: Mammal, monkeypatch: Any):
    together = []
    ask = Predict.ask

    def noted(self: Predict, rows: Any, **how: Any) -> Any:
        together.append(len(rows))
        return ask(self, rows, **how)

    service = started(model, wait=60)
    monkeypatch.setattr(Predict, "ask", noted)
    parts = [SMILES[i : i + 3] for i in range(8)]
    bodies = [{"data": part, "task": ("bbbp", "melting_point")[i % 2]} for i, part in enumerate(parts)]

    async def all_at_once(client: httpx.AsyncClient) -> list[httpx.Response]:
        return await asyncio.gather(*(client.post("/predict", json=body) for body in bodies))

    answers = asked(service, all_at_once)
    assert sorted(together) == [12, 12]  # one batch for each task
    monkeypatch.undo()
    for body, answer in zip(bodies, answers, strict=True):
        same(answer.json()["rows"], model.predict(body["data"], body["task"]))
    service.stop()


def test_samples_do_not_depend_on_who_asks_at_the_same_time(model: Mammal, monkeypatch: Any):
    together = []
    ask = Generate.ask_at

    def noted(self: Generate, rows: Any, positions: Any, **how: Any) -> Any:
        together.append(list(positions))
        return ask(self, rows, positions, **how)

    monkeypatch.setattr(Generate, "ask_at", noted)
    service = started(model, wait=60)
    body = {"task": "molecules", "n": 2, "max_new_tokens": 10}

    async def all_at_once(client: httpx.AsyncClient) -> list[httpx.Response]:
        return await asyncio.gather(*(client.post("/generate", json=body) for _ in range(3)))

    answers = [one.json()["rows"] for one in asked(service, all_at_once)]
    service.stop()
    assert together == [[0, 0, 0]]
    expected = model.generate(task="molecules", n=2, max_new_tokens=10)
    for rows in answers:
        same(rows, expected)


def test_a_large_request_goes_on_in_parts_and_lets_small_ones_pass(model: Mammal):
    service = started(model, batch_tokens=400, wait=0)
    many = [f"{'C' * (1 + i % 30)}O" for i in range(200)]
    order = []

    async def race(client: httpx.AsyncClient) -> httpx.Response:
        async def small() -> None:
            await asyncio.sleep(0.02)
            await client.post("/predict", json={"data": ["CCO"], "task": "bbbp"})
            order.append("small")

        large, _ = await asyncio.gather(client.post("/predict", json={"data": many, "task": "bbbp"}), small())
        order.append("large")
        return large

    large = asked(service, race)
    service.stop()
    assert order == ["small", "large"]
    same(large.json()["rows"], model.predict(many, "bbbp"))


class Held:
    """Holds the thread of a model in its next batch."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.entered, self.go = threading.Event(), threading.Event()
        ask = ModelThread._asked

        def held(thread: ModelThread, parts: Any) -> Any:
            self.entered.set()
            while not self.go.wait(0.01):
                thread.stop_if_abandoned()
            return ask(thread, parts)

        monkeypatch.setattr(ModelThread, "_asked", held)


def test_too_many_requests_are_turned_away(model: Mammal, monkeypatch: Any):
    service = started(model, max_requests=3, wait=0)
    held = Held(monkeypatch)
    body = {"data": ["CCO"], "task": "bbbp"}

    async def crowd(client: httpx.AsyncClient) -> tuple[list[httpx.Response], httpx.Response]:
        waiting = [asyncio.ensure_future(client.post("/predict", json=body)) for _ in range(3)]
        while service.waiting < 3:
            await asyncio.sleep(0.01)
        refused = await client.post("/predict", json=body)
        alive = await client.get("/health")  # the event loop does not wait for the model
        assert alive.status_code == 200
        held.go.set()
        return await asyncio.gather(*waiting), refused

    answered, refused = asked(service, crowd)
    assert [one.status_code for one in answered] == [200] * 3
    assert refused.status_code == 429 and int(refused.headers["retry-after"]) >= 1
    assert "3 requests already wait" in refused.json()["error"]["what"]
    assert service.waiting == 0
    figures = service.metrics.text().decode()
    assert 'mammal_requests_total{outcome="busy",verb="predict"} 1.0' in figures
    assert 'mammal_rows_total{outcome="answered",verb="predict"} 3.0' in figures
    assert "mammal_requests_waiting 0.0" in figures
    service.stop()


def test_characters_that_wait_are_limited_too(model: Mammal, monkeypatch: Any):
    service = started(model, max_waiting=100, wait=0)
    held = Held(monkeypatch)

    async def crowd(client: httpx.AsyncClient) -> httpx.Response:
        first = asyncio.ensure_future(client.post("/predict", json={"data": ["C" * 90], "task": "bbbp"}))
        while not held.entered.is_set():
            await asyncio.sleep(0.01)
        refused = await client.post("/predict", json={"data": ["C" * 20], "task": "bbbp"})
        held.go.set()
        assert (await first).status_code == 200
        return refused

    assert asked(service, crowd).status_code == 429
    service.stop()


def test_a_cancelled_request_frees_its_slot_and_stops_the_model(model: Mammal, monkeypatch: Any):
    service = started(model, max_requests=1, wait=0)
    held = Held(monkeypatch)
    body = {"data": ["CCO"], "task": "bbbp"}

    async def give_up(client: httpx.AsyncClient) -> httpx.Response:
        first = asyncio.ensure_future(client.post("/predict", json=body))
        while not held.entered.is_set():
            await asyncio.sleep(0.01)
        first.cancel()
        while service.waiting:
            await asyncio.sleep(0.01)
        second = asyncio.ensure_future(client.post("/predict", json=body))
        held.entered.clear()
        while not held.entered.is_set():  # the thread has left the first batch, which nobody wanted any more
            await asyncio.sleep(0.01)
        held.go.set()
        return await second

    assert asked(service, give_up).status_code == 200
    assert 'outcome="cancelled",verb="predict"} 1.0' in service.metrics.text().decode()
    service.stop()


def test_the_model_stops_in_the_middle_of_a_sequence(model: Mammal):
    service = started(model, timeout=0.3, max_new_tokens=100_000)
    body = {"task": "molecules", "max_new_tokens": 100_000, "min_new_tokens": 99_999, "constraint": "none"}
    start = time.monotonic()
    answer = posted(service, "/generate", body)
    assert answer.status_code == 504 and "0.3 s" in answer.json()["error"]["what"]
    service.stop()  # waits for the thread
    assert time.monotonic() - start < 10


def test_one_request_cannot_spoil_the_batch_of_another(model: Mammal, monkeypatch: Any):
    service = started(model, wait=60)
    ask = Predict.ask

    def failing(self: Predict, rows: Any, **how: Any) -> Any:
        if any(row["smiles"] == "CCN" for row in rows):
            raise RuntimeError("CCN is in the message")
        return ask(self, rows, **how)

    monkeypatch.setattr(Predict, "ask", failing)

    async def both(client: httpx.AsyncClient) -> list[httpx.Response]:
        bodies = ({"data": [smiles], "task": "bbbp"} for smiles in ("CCN", "CCO"))
        return await asyncio.gather(*(client.post("/predict", json=body) for body in bodies))

    bad, good = asked(service, both)
    assert good.status_code == 200 and bad.status_code == 500
    assert "CCN" not in bad.text
    service.stop()


def test_messages_about_rows_go_to_their_request_only(monkeypatch: Any):
    shown: list[str] = []
    monkeypatch.setattr(warnings, "showwarning", lambda message, *_, **__: shown.append(str(message)))
    logger = logging.getLogger("mammal")
    monkeypatch.setattr(logger, "handlers", [])
    keep_requests_out_of_the_log()
    with collected_notes() as notes:
        warnings.showwarning(UserWarning("about a row"), UserWarning, "file", 1)
        logger.warning("of %s", "a row")
    warnings.showwarning(UserWarning("about the service"), UserWarning, "file", 1)
    assert (notes, shown) == (["about a row", "of a row"], ["about the service"])


@pytest.mark.parametrize(
    ("path", "body", "status", "what", "hint"),
    [
        ("/predict", {"dta": ["CCO"]}, 422, "no field 'dta'", "data"),
        ("/predict", {"data": ["CCO"], "task": "bbpb"}, 400, "no task 'bbpb'", "bbbp"),
        ("/predict", {"data": ["CCO"]}, 400, "several tasks", "bbbp, melting_point"),
        ("/predict", {"data": [{"smile": "CCO"}], "task": "bbbp"}, 400, "no column 'smiles'", "smile"),
        ("/predict", {"data": ["CCO"], "task": "secret.yaml"}, 400, "no task 'secret.yaml'", "valid tasks"),
        ("/predict", {"data": 3, "task": "bbbp"}, 422, "list", ""),
        ("/predict", {"task": "bbbp"}, 400, "no rows", "smiles"),
        ("/predict", {"data": ["C"], "csv": "smiles\nC\n", "task": "bbbp"}, 400, "both data and csv", "one of them"),
        ("/generate", {"task": "molecules", "temperatur": 1}, 422, "no field 'temperatur'", "temperature"),
        ("/generate", {"task": "molecules", "temperature": -1}, 400, "temperature", ""),
        ("/embed", {"data": ["C"], "task": "bbbp", "pooling": "men"}, 400, "no pooling 'men'", "mean"),
        ("/properties", {"data": ["C"], "properties": ["mww"]}, 400, "unknown property 'mww'", "mw"),
        ("/predict", {"data": ["C"] * 1001, "task": "bbbp"}, 413, "1,001 rows", "1,000"),
        ("/generate", {"task": "molecules", "n": 1001}, 413, "1,001 sequences", "1,000"),
        ("/generate", {"task": "molecules", "max_new_tokens": 9999}, 413, "max_new_tokens", "512"),
        ("/predict", {"data": ["C" * 500_001], "task": "bbbp"}, 413, "500,001 characters", "500,000"),
        ("/predicted", {}, 404, "not found", "/predict"),
    ],
)
def test_wrong_requests_are_told_what_where_and_how(
    service: Service, path: str, body: Any, status: int, what: str, hint: str
):
    answer = posted(service, path, body)
    error = answer.json()["error"]
    assert (answer.status_code, set(error)) == (status, {"what", "where", "hint"}), error
    assert what in error["what"] and hint in (error["hint"] or "") and error["where"]


def test_a_body_is_read_up_to_a_limit(service: Service):
    size = service.limits.max_body + 1

    async def stream() -> Any:
        for _ in range(0, size, 1 << 16):
            yield b" " * (1 << 16)

    def send(content: Any) -> httpx.Response:
        how = {"content": content, "headers": {"content-type": "application/json"}}
        return asked(service, lambda client: client.post("/predict", **how))

    assert send(b" " * size).status_code == 413
    assert send(stream()).json()["error"]["what"] == "the request is too large"
    broken = send(b'{"data": [')
    assert broken.status_code == 422 and broken.json()["error"]["what"] == "the body is not JSON"


def test_tasks_info_and_states(service: Service):
    async def states(client: httpx.AsyncClient) -> dict[str, Any]:
        return {path: (await client.get(path)).json() for path in ("/tasks", "/info", "/health", "/ready")}

    found = asked(service, states)
    tasks = {task["name"]: task for task in found["/tasks"]["tasks"]}
    assert tasks["bbbp"]["verbs"] == ["predict", "embed", "score", "explain"] and tasks["bbbp"]["columns"] == {
        "smiles": "SMILES"
    }
    assert tasks["molecules"]["verbs"] == ["predict", "generate", "embed", "score"]
    assert tasks["melting_point"]["unit"] == "K" and tasks["melting_point"]["answers"] == ["prediction"]
    assert found["/info"]["parameters"] > 1000 and found["/info"]["limits"]["max_rows"] == 1000
    assert found["/health"] == {"status": "alive"} and found["/ready"] == {"status": "ready"}


def test_the_service_is_alive_before_it_is_ready(model: Mammal):
    loaded = threading.Event()

    def slow() -> Mammal:
        loaded.wait()
        return model

    service = Service(slow)
    service.start()

    async def states(client: httpx.AsyncClient) -> list[int]:
        paths = [client.get("/health"), client.get("/ready"), client.get("/openapi.json")]
        answers = [*(await asyncio.gather(*paths)), await client.post("/predict", json={"data": ["C"]})]
        return [answer.status_code for answer in answers]

    assert asked(service, states) == [200, 503, 200, 503]
    loaded.set()
    asyncio.run(service.until_ready())
    assert asked(service, lambda client: client.get("/ready")).status_code == 200
    service.stop()


def test_the_key_opens_everything_but_pages_and_probes(service: Service):
    access = Access(api_key=KEY)

    async def statuses(client: httpx.AsyncClient) -> dict[str, int]:
        closed = ("/tasks", "/info", "/metrics", "/openapi.json", "/mcp", "/nothing")
        found = {path: (await client.get(path)).status_code for path in (*closed, "/", "/docs", "/health", "/ready")}
        found |= {"/assets": (await client.get("/assets/page.js")).status_code}
        for name, header in {
            "bearer": {"Authorization": f"Bearer {KEY}"},
            "x-api-key": {"X-API-Key": KEY},
            "wrong": {"Authorization": f"Bearer {KEY}x"},
            "basic": {"Authorization": f"Basic {KEY}"},
        }.items():
            body = {"data": ["CCO"], "task": "bbbp"}
            found[name] = (await client.post("/predict", json=body, headers=header)).status_code
        return found

    found = asked(service, statuses, access)
    assert [path for path, status in found.items() if status == 401] == [
        *("/tasks", "/info", "/metrics", "/openapi.json", "/mcp", "/nothing", "wrong", "basic")
    ]
    assert set(found.values()) == {200, 401}


def test_hosts_and_origins(service: Service):
    access = Access(cors=["https://lab.example"], hosts=["127.0.0.1"])

    async def work(client: httpx.AsyncClient) -> list[httpx.Response]:
        asks = {"Origin": "https://lab.example", "Access-Control-Request-Method": "POST"}
        other = asks | {"Origin": "https://evil.example"}
        return [
            await client.get("/tasks", headers={"Host": "evil.example"}),
            await client.options("/predict", headers=asks),
            await client.options("/predict", headers=other),
            await client.get("/"),
        ]

    rebound, ours, theirs, page = asked(service, work, access)
    assert rebound.status_code == 421
    assert ours.headers["access-control-allow-origin"] == "https://lab.example"
    assert "access-control-allow-origin" not in theirs.headers
    assert "default-src 'none'" in page.headers["content-security-policy"]
    plain = asked(service, lambda client: client.get("/tasks", headers={"Origin": "https://lab.example"}))
    assert "access-control-allow-origin" not in plain.headers


def test_other_machines_need_a_key():
    for host in ("127.0.0.1", "localhost", "::1"):
        check_exposure(host, None, allow_open=False)
    for host in ("0.0.0.0", "192.168.0.2", "::", "lab.example"):
        with pytest.raises(ConfigError, match="no API key"):
            check_exposure(host, None, allow_open=False)
        check_exposure(host, KEY, allow_open=False)
        check_exposure(host, None, allow_open=True)
    with pytest.raises(ConfigError, match="fewer than 16"):
        check_exposure("127.0.0.1", "short", allow_open=False)


def test_examples_of_the_description_are_what_the_service_answers(service: Service):
    api = asked(service, lambda client: client.get("/openapi.json")).json()
    for verb in ("predict", "generate", "embed", "score", "explain", "properties", "draw"):
        method = api["paths"][f"/{verb}"]["post"]
        examples = method["requestBody"]["content"]["application/json"]["examples"]
        assert examples
        for name, example in examples.items():
            answer = posted(service, f"/{verb}", example["value"])
            assert answer.status_code == 200, (verb, name, answer.text)
            if verb == "predict":
                told = method["responses"]["200"]["content"]["application/json"]["examples"][name]["value"]
                assert told["columns"] == answer.json()["columns"] and told["rows"][0]["error"] is None
    fields = api["components"]["schemas"]["GenerateRequest"]["properties"]
    assert fields["temperature"]["description"] == "divides the scores of tokens"


def test_molecules_are_drawn_without_styles(service: Service):
    smiles = ["CCO", "C1CC", "", "C" * 300]
    first, *others = posted(service, "/draw", {"smiles": smiles}).json()["svg"]
    assert first.startswith("<svg") and "currentColor" in first and "style=" not in first
    assert others == [None, None, None]


def test_mcp_tools_answer_as_http_does(service: Service):
    async def talk() -> tuple[Any, ...]:
        async with Client(mcp_server(service)) as client:
            listed = await client.list_tools()
            good = await client.call_tool("predict", {"data": ["CCO", "C1CC"], "task": "bbbp"})
            bad = await client.call_tool("predict", {"data": ["CCO"], "task": "bbpb"})
            tasks = await client.call_tool("tasks", {})
            return listed, good, bad, tasks

    listed, good, bad, tasks = asyncio.run(talk())
    tools = {tool.name: tool for tool in listed.tools}
    assert {"predict", "generate", "embed", "score", "explain", "properties", "names", "tasks", "info"} == set(tools)
    schema = tools["predict"].input_schema["properties"]
    assert schema["names"]["description"] == "column of IUPAC names, for rows without a SMILES"
    over_http = posted(service, "/predict", {"data": ["CCO", "C1CC"], "task": "bbbp"}).json()
    assert good.structured_content == over_http
    assert bad.is_error and "did you mean bbbp?" in bad.content[0].text
    assert [task["name"] for task in tasks.structured_content["tasks"]] == ["bbbp", "melting_point", "molecules"]


def test_mcp_over_http(service: Service):
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "properties", "arguments": {"data": ["CCO"], "properties": ["rings"]}},
    }
    answer = posted(service, "/mcp", call, accept="application/json, text/event-stream")
    content = json.loads(answer.json()["result"]["content"][0]["text"])
    assert content["rows"][0]["rings"] == 0


def test_no_request_ends_in_an_error_of_the_service(service: Service):
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st

    schema = schemathesis.openapi.from_asgi("/openapi.json", make_app(service))
    operations = [one.ok() for one in schema.get_all_operations() if one.ok().path not in ("/names",)]
    assert len(operations) > 8
    statuses = []

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(case=st.one_of([operation.as_strategy() for operation in operations]))
    def check(case: Any) -> None:
        answer = case.call()
        statuses.append(answer.status_code)
        assert answer.status_code < 500, (case.path, case.body, answer.text)

    check()
    assert 200 in statuses and any(400 <= status < 500 for status in statuses)
