"""An entity with several views: which are sampled, which are shown, which columns are read, what is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mammal.tasks.baselines.baseline_features import column_kinds
from mammal.tasks.batches.token_batches import encode_rows
from mammal.tasks.data import load_data
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.kinds.build import build_task
from mammal.tasks.molecules.chemistry import canonical_or_none
from mammal.tasks.task import Task
from mammal.tasks.views import registry
from mammal.tasks.views.registry import View, views_of
from mammal.tokenization import Tokenizer
from mammal.tokenization.errors import PromptError

ETHANOL = {"smiles": "OCC", "iupac": "ethanol", "y": "1"}
ASPIRIN = {"smiles": "CC(=O)Oc1ccccc1C(=O)O", "iupac": "2-acetyloxybenzoic acid", "y": "2"}


@pytest.fixture(scope="module")
def make() -> Callable[..., Task]:
    tokenizer = Tokenizer.load(None)

    def make_task(input: str = "<MASK> {mol:molecule}", target: str = "{y:scalar}", **declared: Any) -> Task:
        base = {"name": "t", "kind": "regression", "mode": "encoder", "scale": {"mean": 0.0, "std": 1.0}}
        prompt = {"input": input, "target": target}
        return build_task(load_task(base | {"prompt": prompt} | declared), tokenizer)

    return make_task


def shown(task: Task, row: dict, drawn_for: object | None = None) -> tuple[str, str]:
    view, text = task.show(row, drawn_for)["mol"]
    return view.name, text


def test_the_first_view_that_a_row_has_is_shown(make):
    task = make()
    assert shown(task, ETHANOL) == ("smiles", "CCO")
    assert shown(task, {"iupac": "ethanol"}) == ("iupac", "ethanol")
    assert shown(task, {"smiles": None, "iupac": "ethanol"}) == ("iupac", "ethanol")
    assert shown(task, {"mol": "OCC"}) == ("smiles", "CCO"), "the slot's own column holds SMILES"
    assert "<@TOKENIZER-TYPE=IUPAC@MAX-LEN=256><MASK>" in task.render({"iupac": "ethanol"}).input
    assert shown(make(views={"mol": ["iupac", "smiles"]}), ETHANOL) == ("iupac", "ethanol")
    assert shown(make(view="iupac"), ETHANOL) == ("iupac", "ethanol")


def test_a_new_view_serves_every_slot_of_its_form_and_leaves_the_text_as_it_is(monkeypatch):
    """One line of the table is enough, also for an entity that has none."""
    monkeypatch.setattr(registry, "_VIEWS", (*registry._VIEWS, View("upper", "iupac", str.upper)))
    assert list(views_of("iupac")) == ["iupac", "upper"]
    assert list(views_of("molecule")) == ["smiles", "random_smiles", "iupac", "upper"]
    assert views_of("iupac")["iupac"].text("ethanol") == "ethanol"


def test_a_row_without_any_view_names_every_column(make):
    rows = [{"smiles": "", "iupac": None}, {"smiles": "C(", "iupac": "ethanol"}]
    (_, neither), (_, invalid) = encode_rows(make(), rows)[1]
    assert "no value in smiles or iupac" in neither
    assert "invalid SMILES" in invalid, "a wrong structure is reported, not covered by its name"
    assert "column iupac" in encode_rows(make(view="iupac"), [{"smiles": "CCO"}])[1][0][1]


def test_draws_hang_on_seed_epoch_and_row_alone(make):
    task, again, other = make(), make(), make(view_seed=1)
    first = [shown(task, ASPIRIN, n) for n in range(60)]
    assert [shown(again, ASPIRIN, n) for n in range(59, -1, -1)] == first[::-1]
    assert [shown(other, ASPIRIN, n) for n in range(60)] != first
    again.epoch = 1
    assert [shown(again, ASPIRIN, n) for n in range(60)] != first
    counts = Counter(name for name, _ in first)
    assert min(counts[name] for name in ("smiles", "random_smiles", "iupac")) > 8
    spelt = {text for name, text in first if name == "random_smiles"}
    assert len(spelt) > 5 and {canonical_or_none(text) for text in spelt} == {canonical_or_none(ASPIRIN["smiles"])}
    assert {shown(task, {"iupac": "ethanol"}, n) for n in range(20)} == {("iupac", "ethanol")}


def test_shares_weigh_the_draw(make):
    task = make(views={"mol": {"smiles": 1, "iupac": 9}})
    counts = Counter(shown(task, ETHANOL, n)[0] for n in range(200))
    assert 160 < counts["iupac"] < 198 and counts["smiles"] == 200 - counts["iupac"]


def test_columns_may_have_any_name(make):
    task = make(data={"columns": {"mol.smiles": "SMILES", "mol.iupac": "NAME"}})
    assert task.columns == ["SMILES", "NAME"] and task.molecules == {"SMILES"}
    assert shown(task, {"SMILES": "OCC", "mol": "no molecule"}) == ("smiles", "CCO")
    two = {"a.smiles": "A", "b.smiles": "B", "b.iupac": "B_NAME"}
    pair = make("<MASK> {a:molecule} {b:molecule}", data={"columns": two})
    assert pair.needed == [("A",), ("B", "B_NAME")] and pair.identities == ["A", "B"]
    with pytest.raises(TaskError, match=r"nothing says which columns 'a' reads.*a\.smiles: COLUMN"):
        make("<MASK> {a:molecule} {b:molecule}")


@pytest.mark.parametrize(
    ("declared", "what"),
    [
        ({"views": {"mol": ["smilles"]}}, r"'molecule' has no view 'smilles' \(did you mean smiles"),
        ({"views": {"moll": ["smiles"]}}, "names 'moll', which is not a slot.*did you mean mol"),
        ({"views": {"mol": {"smiles": 0}}}, "share of a view must be a positive number, not 0"),
        ({"views": {"mol": []}}, r"views\.mol is \[\]"),
        ({"view": "iupak"}, "view is 'iupak'.*did you mean iupac"),
        ({"input": "<MASK> {p:protein}", "view": "iupac"}, "has no slot with views"),
    ],
)
def test_what_cannot_be_shown_is_refused(make, declared, what):
    with pytest.raises(TaskError, match=what):
        make(**declared)


def test_an_answer_is_asked_for_in_one_way_and_never_shown(make):
    kind = {"kind": "generation", "mode": "decoder"}
    with pytest.raises(PromptError, match=r"write {mol:smiles} or {mol:iupac}"):
        make("{p:protein}", "{mol:molecule}", **kind)
    with pytest.raises(TaskError, match=r"'iupac' shows column 'iupac', which is to be predicted.*\[smiles, random"):
        make("{mol:molecule}", "{iupac:iupac}", **kind)
    task = make("{mol:molecule}", "{iupac:iupac}", views={"mol": ["smiles", "random_smiles"]}, **kind)
    assert task.needed == [("smiles",)]


def test_other_readers_see_the_smiles_whatever_is_shown(make):
    task = make("<MASK> {mol:molecule} {mol:morgan}", view="iupac")
    assert task.inputs(ETHANOL) == {"smiles": "CCO"} and column_kinds(task) == {"smiles": "molecule"}
    assert task.render(ETHANOL).sample["mol.morgan"].any()
    assert set(task.needed) == {("iupac",), ("smiles",)}, "the fingerprint needs a structure"


def test_slots_of_one_writing_have_views_where_they_are_declared(make):
    task = make("<MASK> {mol:smiles}", views={"mol": ["smiles", "random_smiles"]})
    assert task.varies and shown(task, {"mol": "OCC"}) == ("smiles", "CCO")
    assert not make("<MASK> {mol:smiles}").views
    asked = make("<MASK> {w:dna}", view="reference")
    assert asked.prepare({"w": "AC[A/G]T"}) == {"w": "ACAT"} and not asked.varies


def test_splits_and_leaks_look_at_structures_and_at_names_without_one(make, tmp_path: Path):
    file = tmp_path / "mine.csv"
    cells = [("OCC", "ethanol"), ("CCO", "alcohol"), ("", "benzene"), ("", "benzene"), ("", "toluene")]
    parts = ["train", "test", "train", "test", "test"]
    pd.DataFrame(
        [(*c, 1, p) for c, p in zip(cells, parts, strict=True)], columns=["mol", "iupac", "y", "split"]
    ).to_csv(file, index=False)
    data = {"path": str(file), "split": "given"}
    loaded = load_data(make(data=data).config)
    assert loaded.leakage["test"] == 2 and "smiles" in loaded.frame
    frame = pd.read_csv(file).drop(columns=["mol", "iupac"])
    frame.to_csv(file, index=False)
    with pytest.raises(DataError, match="no column 'smiles' or 'iupac'"):
        load_data(make(data=data).config)


def test_a_molecule_that_is_not_valid_is_named_and_not_the_view(make):
    task = make(views={"mol": ["random_smiles"]}, standardise="off")
    with pytest.raises(DataError, match="invalid SMILES 'C1CC': unclosed ring"):
        task.show({"smiles": "C1CC", "y": "1"})
