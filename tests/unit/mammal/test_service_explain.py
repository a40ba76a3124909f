"""The verb `explain` of the service: equal numbers, limits, shared batches, cancelled requests and drawings."""

from __future__ import annotations

import asyncio
import io
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("captum.attr")

import httpx
import numpy as np
import pandas as pd
import torch

import mammal
from mammal.explanation import drawings as colours
from mammal.explanation import gradients
from mammal.explanation.question import Explain
from mammal.inference.api import Mammal
from mammal.service.app import ASSETS, make_app
from mammal.service.batching import EXPLAINED, ModelThread
from mammal.service.limits import Limits
from mammal.service.service import Service

SMILES = ["CCO", "C1CC", "CC(=O)Oc1ccccc1C(=O)O", "c1ccccc1"]


@contextmanager
def serving(model: Mammal, **limits: Any) -> Iterator[Service]:
    service = Service(lambda: model, Limits(**limits))
    service.start()
    while not service.ready:
        assert service.failure is None, service.failure
        time.sleep(0.01)
    yield service
    service.stop()


@pytest.fixture(scope="module")
def model(tiny_bundle: Path) -> Mammal:
    return mammal.load(tiny_bundle)


@pytest.fixture(scope="module")
def service(model: Mammal) -> Iterator[Service]:
    with serving(model) as made:
        yield made


def posted(service: Service, path: str, *bodies: Any, **headers: str) -> list[httpx.Response]:
    """The answers to requests that are sent at the same time."""

    async def run() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=make_app(service))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await asyncio.gather(*(client.post(path, json=body, headers=headers) for body in bodies))

    return asyncio.run(run())


def same(rows: list[dict[str, Any]], frame: pd.DataFrame) -> None:
    """Rows of an answer are those of a data frame, with lists in place of arrays and None in place of NaN."""
    assert list(rows[0]) == list(frame.columns) and len(rows) == len(frame)
    for row, expected in zip(rows, frame.to_dict("records"), strict=True):
        for name, value in expected.items():
            if isinstance(value, np.ndarray):
                found = [np.nan if number is None else number for number in row[name]]
                assert found == pytest.approx(value.tolist(), rel=1e-3, abs=1e-6, nan_ok=True), name
            elif name.endswith("fragments") and isinstance(value, str):
                for one, other in zip(json.loads(row[name]), json.loads(value), strict=True):
                    assert one == {**other, "effect": pytest.approx(other["effect"], rel=1e-3, abs=1e-5)}
            elif isinstance(value, float) and value == value:
                assert row[name] == pytest.approx(value, rel=1e-3, abs=1e-5), name
            else:
                assert row[name] == (None if pd.isna(value) else value), name


def test_answers_are_those_of_the_python_api(service: Service, model: Mammal):
    (answer,) = posted(service, "/explain", {"data": SMILES, "task": "melting_point"})
    assert answer.status_code == 200 and answer.json()["refused"] == 1
    same(answer.json()["rows"], model.explain(SMILES, "melting_point"))
    how = {"method": "occlusion", "fragments": "atom", "label": "0", "prefix": "why_", "columns": {"smiles": "drug"}}
    rows = [{"id": number, "drug": smiles} for number, smiles in enumerate(SMILES)]
    (answer,) = posted(service, "/explain", {"data": rows, "task": "bbbp", **how})
    same(answer.json()["rows"], model.explain(rows, "bbbp", **how))


def test_a_table_has_one_line_for_each_part_as_the_command_prints_it(service: Service, model: Mammal):
    bodies = [{"csv": f"id,smiles\n1,{a}\n2,{b}\n", "task": "bbbp"} for a, b in (SMILES[:2], SMILES[2:])]
    answers = posted(service, "/explain", *bodies, accept="text/csv")
    for body, answer in zip(bodies, answers, strict=True):  # rows are numbered in their own request
        table = pd.read_csv(io.StringIO(answer.text))
        given = pd.read_csv(io.StringIO(body["csv"]))
        expected = model.explain(given, "bbbp", long=True)
        text = pd.read_csv(io.StringIO(expected.to_csv(index=False)))
        pd.testing.assert_frame_equal(table, text, rtol=1e-3, atol=1e-6)
    (answer,) = posted(service, "/explain", bodies[0] | {"long": False}, accept="text/csv")
    assert len(pd.read_csv(io.StringIO(answer.text))) == 2


def test_requests_share_batches_of_few_rows(model: Mammal, monkeypatch: Any):
    together: list[int] = []
    ask = Explain.ask_at

    def noted(self: Explain, rows: Any, positions: Any, **how: Any) -> Any:
        together.append(len(rows))
        return ask(self, rows, positions, **how)

    monkeypatch.setattr(Explain, "ask_at", noted)
    how = {"task": "bbbp", "method": "occlusion"}
    with serving(model, wait=60, batch_tokens=4 * 30 * EXPLAINED) as service:
        answers = posted(service, "/explain", {"data": ["CCO"] * 6, **how}, {"data": ["CCN"], **how})
    assert together[0] in (3, 4) and sum(together) == 7, "other requests get their turn between few explanations"
    for answer, rows in zip(answers, (["CCO"] * 6, ["CCN"]), strict=True):
        same(answer.json()["rows"], model.explain(rows, **how))


def test_rows_steps_and_waiting_characters_are_limited(model: Mammal):
    with serving(model, max_explained=2, max_waiting=100 * EXPLAINED, wait=200) as service:
        many, steps, task, name = posted(
            service,
            "/explain",
            {"data": ["CCO"] * 3, "task": "bbbp"},
            {"data": ["CCO"], "task": "bbbp", "steps": gradients.MOST_STEPS + 1},
            {"data": ["CCO"], "task": "molecules"},
            {"data": ["CCO"], "task": "bbbp", "method": "gradients"},
        )
        assert many.status_code == 413 and "at most 2" in many.json()["error"]["hint"]
        assert steps.status_code == 422 and "1024" in steps.json()["error"]["what"]
        assert task.status_code == 400 and "generation task" in task.json()["error"]["what"]
        assert name.status_code == 422 and "'occlusion'" in name.json()["error"]["what"]
        one = {"data": ["C" * 60], "task": "bbbp", "method": "occlusion"}
        first, second = posted(service, "/explain", one, one)
        assert {first.status_code, second.status_code} == {200, 429}, "each of its characters counts many times"


def test_an_explanation_stops_at_the_time_limit(model: Mammal, monkeypatch: Any):
    passes, delay = [], [0.0]
    check = ModelThread.stop_if_abandoned

    def slow(thread: ModelThread) -> None:
        passes.append(time.sleep(delay[0]))
        check(thread)

    monkeypatch.setattr(ModelThread, "stop_if_abandoned", slow)
    with serving(model, timeout=0.4) as service:
        delay[0] = 0.1
        (answer,) = posted(service, "/explain", {"data": ["CCO"], "task": "bbbp", "tolerance": 1e-12})
        assert answer.status_code == 504
        time.sleep(0.2)
        counted = len(passes)
        time.sleep(0.3)
        assert len(passes) == counted, "the model goes on although nobody waits"


def test_a_model_in_bfloat16_is_copied_once_for_all_requests(tiny_bundle: Path, monkeypatch: Any):
    coarse = mammal.load(tiny_bundle, dtype="bfloat16")
    copies = []
    copy = type(coarse.model).in_float32

    def counted(network: Any) -> Any:
        copies.append(network)
        return copy(network)

    monkeypatch.setattr(type(coarse.model), "in_float32", counted)
    with serving(coarse) as service:
        assert not copies, "no memory is used before somebody asks"
        body = {"data": ["CCO"], "method": "occlusion"}
        for task in ("bbbp", "melting_point"):
            (answer,) = posted(service, "/explain", {**body, "task": task})
            same(answer.json()["rows"], mammal.load(tiny_bundle, dtype="bfloat16").explain(**body, task=task))
        assert copies.count(coarse.model) == 1 and coarse.model.dtype == torch.bfloat16


def test_tasks_list_explain_and_the_methods_that_are_installed(service: Service, monkeypatch: Any):
    from mammal.service.facts import bundle_facts
    from mammal.service.served_tasks import explain_options

    assert bundle_facts(service)["explain"] == ["integrated_gradients", "occlusion"]
    assert [name for name, task in service.tasks.items() if "explain" in task.verbs] == ["bbbp", "melting_point"]
    assert explain_options(["a", "b"]) == {"target": "a"} and explain_options(["a", "b"], "predict") == {}
    monkeypatch.setattr(gradients, "find_spec", lambda name: None)
    assert bundle_facts(service)["explain"] == ["occlusion"] and explain_options(["a"]) == {"method": "occlusion"}


def test_atoms_are_drawn_in_their_colours(service: Service):
    body = {"smiles": ["CCO", "C1CC", "CO"], "attribution": [[0.5, None, -1.0], [1, 1, 1, 1], [1.0]]}
    (answer,) = posted(service, "/draw", {**body, "largest": 1.0, "unit": "log-odds of <b>yes</b>"})
    first, *others = answer.json()["svg"]
    assert others == [None, None], "no molecule, and not one number for each atom"
    assert len(re.findall(r"<ellipse", first)) == 2 and "currentColor" in first
    assert "style=" not in first and "var(" not in first, "the security policy of the page forbids styles"
    assert "&lt;b&gt;yes" in first and "<b>" not in first
    short, infinite = posted(
        service, "/draw", {**body, "attribution": [[1.0]]}, {**body, "attribution": [["NaN"], [], []]}
    )
    assert short.status_code == 422 and "1 lists for 3 molecules" in short.json()["error"]["what"]
    assert infinite.status_code == 422


def test_the_page_has_the_colours_of_the_drawings():
    style = (ASSETS / "style.css").read_text()
    for name, colour in (("raises", colours.RAISES), ("lowers", colours.LOWERS)):
        found = re.search(rf"--{name}: (\d+) (\d+) (\d+)", style)
        assert found is not None and [int(part) for part in found.groups()] == [round(255 * part) for part in colour]


def test_whole_numbers_of_a_csv_answer_stay_whole_next_to_a_refused_row(service: Service):
    (said,) = posted(service, "/explain", {"data": ["C1CC", "CO"], "task": "bbbp"}, accept="text/csv")
    table = pd.read_csv(io.StringIO(said.text), dtype=str)
    assert list(table["row"].dropna()) == ["2", "2"] and list(table["position"].dropna()) == ["1", "2"]


def test_lists_that_do_not_fit_are_said_plainly(service: Service):
    (said,) = posted(service, "/draw", {"smiles": ["CC"], "attribution": [[1, 2], [1]]})
    assert said.status_code == 422 and said.json()["error"]["what"] == "attribution has 2 lists for 1 molecules"
