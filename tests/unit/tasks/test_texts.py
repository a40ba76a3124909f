"""Names and captions: protein names in headers, families, published parts, and instructions in several wordings."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import numpy as np
import pytest

from mammal.tasks.baselines.fit import baselines
from mammal.tasks.data import load_data, load_dataset
from mammal.tasks.declaration.check import task_config
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.declaration.schema import DataConfig
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.grammar.text import unfinished
from mammal.tasks.kinds.build import build_task
from mammal.tasks.sequences.families import families
from mammal.tasks.sequences.protein_names import first_name, product_name, respelt, spellings
from mammal.tasks.task import Task
from mammal.tokenization import Tokenizer

TOKENIZER = Tokenizer.load(None)


def residues(seed: int, length: int = 200) -> str:
    return "".join(random.Random(seed).choices("ACDEFGHIKLMNPQRSTVWY", k=length))


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(exist_ok=True)
    with gzip.open(root / path, "wt", encoding="utf-8") as file:
        file.write(text)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("Glycogen phosphorylase (EC 2.4.1.1) (Fragment)", "Glycogen phosphorylase"),
        ("putative sodium/glucose cotransporter", "Sodium/glucose cotransporter"),
        ("6-phosphofructokinase, putative (Fragment)", "6-phosphofructokinase"),
        ("6-phospho-beta-glucosidase B; cryptic", "6-phospho-beta-glucosidase B"),
        ("methylglyoxal reductase [multifunctional]", "Methylglyoxal reductase"),
        ("tRNA (guanine-N(1)-)-methyltransferase", "tRNA (guanine-N(1)-)-methyltransferase"),
        ("Acetate--CoA ligase [ADP-forming] subunit alpha", "Acetate--CoA ligase [ADP-forming] subunit alpha"),
        ("3 beta-hydroxysteroid dehydrogenase/Delta 5-->4-isomerase",) * 2,
        ("exuR", "exuR"),
        ("Vif", "Vif"),
        ("Uncharacterized protein MJ1396", None),
        ("hypothetical protein", None),
        ("predicted protein", None),
        ("conserved protein", None),
        ("LALA0S01e06920g1_1", None),
        ("GM11457", None),
        ("AT5G27270-like protein (Fragment)", None),
        ("DUF1234 domain-containing protein", None),
        ("", None),
    ],
)
def test_a_name_says_what_a_protein_is_and_nothing_else(raw: str, name: str | None):
    assert product_name(raw) == name


def test_other_names_are_cut_off_and_lost_capitals_come_back():
    listed = "e3 ubiquitin-protein ligase rsp5 (ec 2.3.2.26) (hect-type e3 ubiquitin (rsp5) 1) [cleaved into: x; y]"
    assert first_name(listed) == "e3 ubiquitin-protein ligase rsp5"
    assert first_name("trna (guanine(37)-n1)-methyltransferase") == "trna (guanine(37)-n1)-methyltransferase"
    known = spellings(["Probable E3 ubiquitin ligase", "RNA polymerase", "The RNA cap", "Ubiquitin"])
    assert respelt("e3 ubiquitin rna ligase", known) == "E3 ubiquitin RNA ligase"


def test_relatives_are_one_family_and_strangers_are_not():
    ancestor = residues(0)
    relative = ancestor[:60] + residues(1, 30) + ancestor[90:]
    chained = relative[:150] + residues(2, 50)
    found = families([ancestor, residues(3), relative, residues(4), chained, ancestor], 0.5).tolist()
    assert found[0] == found[2] == found[4] == found[5]
    assert len({found[0], found[1], found[3]}) == 3
    assert families(["ACDE"], 0.5).tolist() == [0]


@pytest.fixture
def proteins(tmp_path: Path) -> Path:
    kinase = residues(10)
    headers = {
        "prokka_sprot": [("P1 2.7.1.1~~~hxk~~~Hexokinase~~~", kinase), ("P2 ~~~~~~hypothetical protein", residues(11))],
        "mmseqs2_examples_db": [
            ("sp|Q1|X_Y ATP synthase subunit a OS=Homo sapiens GN=A PE=1 SV=1", residues(12)),
            ("tr|Q2|X_Y Twin of a kinase OS=Mus musculus", kinase),
        ],
        "yeast_swissprot_named": [("P3|mitochondrial atp synthase protein 8 (a6l) (ec 7.1.2.2)", residues(13))],
    }
    for file, records in headers.items():
        write(tmp_path, f"pretrain_proteins/{file}.fasta.gz", "".join(f">{h}\n{s}\n" for h, s in records))
    return tmp_path


def test_headers_become_names_once_for_each_sequence(proteins: Path):
    frame = load_dataset(DataConfig(source="texts", name="protein_names"), {"data": proteins})
    assert frame["name"].tolist() == ["Hexokinase", "ATP synthase subunit a", "Mitochondrial ATP synthase protein 8"]
    assert frame["origin"].tolist() == ["prokka", "uniprot", "yeast"]
    assert frame["family"].nunique() == 3


def test_the_published_validation_part_trains_and_the_test_part_tests(tmp_path: Path):
    head = "CID\tSMILES\tdescription\n"
    rows = [f'{n}\t{"C" * n}O\tThe molecule is "alcohol" {n}.\n' for n in range(1, 22)]
    write(tmp_path, "chebi20/validation.txt.gz", head + "".join(rows[:20]))
    write(tmp_path, "chebi20/test.txt.gz", head + rows[20])
    data = load_data(load_task("molecule_caption"), {"data": tmp_path})
    assert {part: len(rows) for part, rows in data.split.parts.items()} == {"train": 18, "valid": 2, "test": 1}
    assert data.part("test")["description"].tolist() == ['The molecule is "alcohol" 21.']


def test_missing_copies_and_sets_are_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"prokka_sprot.*tseemann/prokka"):
        load_dataset(DataConfig(source="texts", name="protein_names"), {"data": tmp_path})
    with pytest.raises(TaskError, match="did you mean chebi20"):
        load_dataset(DataConfig(source="texts", name="chebi"), {"data": tmp_path})


def test_the_shared_sets_have_the_sizes_that_pages_tell(shared: Path):
    if not (shared / "data/chebi20").is_dir():
        pytest.skip("no local copies")
    frame = load_dataset(DataConfig(source="texts", name="chebi20"), {"data": shared / "data"})
    assert frame["split"].value_counts().to_dict() == {"test": 3300, "train": 2971, "valid": 330}
    task = build_task(load_task("molecule_caption"), TOKENIZER)
    rows = frame.iloc[:: len(frame) // 50].to_dict("records")
    for row in rows:
        example = task.encode(row, target=True)
        assert task.decode_generated(example.targets[0].ids_T.tolist(), 0).text == row["description"].strip()


@pytest.fixture(scope="module")
def describing() -> Task:
    return build_task(load_task("describe_molecule"), TOKENIZER)


def test_training_draws_wordings_and_everything_else_says_the_first(describing: Task):
    wordings = describing.template.words[0].wordings
    row = describing.config.example

    def said(**how: object) -> str:
        text = describing.render(row, **how).input  # type: ignore[arg-type]
        return next(words for words in wordings if words in text)

    assert describing.varies
    assert {said() for _ in range(5)} == {wordings[0]}
    drawn = [said(drawn_for=number) for number in range(100)]
    assert set(drawn) == set(wordings)
    assert drawn == [said(drawn_for=number) for number in range(100)], "the same row says the same in one epoch"
    describing.epoch = 1
    assert drawn != [said(drawn_for=number) for number in range(100)]
    describing.epoch = 0


def test_one_wording_draws_nothing():
    declared = {
        "name": "asked", "kind": "regression", "mode": "encoder", "metrics": ["rmse"],
        "prompt": {"input": '<MASK> "How heavy?" {smiles:smiles}', "target": "{mw:scalar}"},
    }  # fmt: skip
    assert not build_task(task_config(declared), TOKENIZER).varies


def test_the_nearest_row_answers_for_text_in_and_out():
    caption = build_task(load_task("molecule_caption"), TOKENIZER)
    train = [{"smiles": "CCO", "description": "an alcohol"}, {"smiles": "c1ccccc1N", "description": "an aniline"}]
    (said,) = baselines(caption, train, [{"smiles": "c1ccccc1NC", "description": "?"}])["nearest"]
    assert said.text == "an aniline"
    reading = build_task(load_task("text_to_molecule"), TOKENIZER)
    (said,) = baselines(reading, train, [{"smiles": "?", "description": "one more aniline"}])["nearest"]
    assert said.text == "Nc1ccccc1"


@pytest.mark.parametrize("seed", range(20))
def test_generated_text_is_made_of_whole_characters(seed: int):
    task = build_task(load_task("protein_name"), TOKENIZER)
    grammar, rng, state, ids = task.grammar(), random.Random(seed), None, []
    state = grammar.start()
    for left in range(6 + seed, 0, -1):
        allowed = np.flatnonzero(grammar.mask(state, left))
        of_bytes = [c for c in allowed.tolist() if len(TOKENIZER.token_bytes(int(grammar.ids_V[c]))) == 1]
        column = rng.choice(of_bytes or allowed.tolist())
        ids.append(int(grammar.ids_V[column]))
        state = grammar.advance(state, column)
        if ids[-1] == TOKENIZER.eos_id:
            break
    text = task.decode_generated(ids, 0).text
    assert ids[-1] == TOKENIZER.eos_id
    assert text and "\ufffd" not in text


def test_what_can_not_go_on_to_be_a_character_is_refused():
    assert unfinished("aé".encode()) == b""
    assert unfinished("a€".encode()[:-1]) == b"\xe2\x82"
    for never in (b"\x80", b"\xc0", b"\xe0\x80", b"\xed\xa0", b"\xf4\x90", b"\xffa"):
        assert unfinished(never) is None
