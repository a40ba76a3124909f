"""`mammal tasks`: the list, its filters and formats, and the tour of one task, with its data and without."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mammal.bundle.locate import shipped_heads
from mammal.cli import main
from mammal.configuration.compose import split_words
from mammal.errors import ConfigError
from mammal.tasks import catalogue
from mammal.tasks.declaration.registry import load_task

MINE = """
defaults: [schema, _regression, _self_]
name: mine
about: my assay
data: {{source: file{path}}}
prompt: {{input: '<MASK> {{smiles:smiles}}', target: '{{y:scalar}}'}}
unit: nM
metrics: [mae]
licence: mine alone (in house)
citation: nobody yet
published: {{metric: pearson, figure: 0.5, split: by year, source: a poster}}
example: {{smiles: CCO, y: "1.5"}}
"""


def reported(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["tasks", *words])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the user's own configs with one task, whose file can't be found."""
    monkeypatch.setenv("MAMMAL_CONFIGS", "")
    monkeypatch.delenv("MAMMAL_DATA", raising=False)
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "mine.yaml").write_text(MINE.format(path=", path: mine.csv"))
    return tmp_path


def test_the_list_fits_120_columns_and_holds_what_matters(capsys, configs):
    code, out, _ = reported(capsys, "--config-dir", str(configs))
    lines = out.splitlines()
    assert code == 0 and max(map(len, lines)) <= 120
    (mine,) = (line for line in lines if line.startswith("  mine "))
    assert mine.split("  ")[1:] != [] and all(
        fact in mine for fact in ("number, nM", "file mine.csv", "random", "mae", "pearson 0.5", "mine alone")
    )
    assert [line.split(" (")[0] for line in lines if line[:1] not in (" ", "") and " (" in line][:2] == [
        "molecule",
        "protein",
    ]


def test_the_list_is_filtered(capsys, configs):
    _, every, _ = reported(capsys)
    _, dna, _ = reported(capsys, "modality=dna", "kind=regression")
    assert "  mpra " in dna and "  clinvar " not in dna and "  bbbp " not in dna
    assert "  bbbp " in every and "  clinvar " in every


def test_the_list_counts_the_tasks_with_a_shipped_head(capsys, configs):
    heads = shipped_heads()
    _, every, _ = reported(capsys)
    assert len(heads) > 1 and f"{len(heads)} of them can predict without training" in every
    _, few, _ = reported(capsys, "modality=cell")
    assert "without training" not in few


def test_a_broken_task_does_not_hide_the_others(capsys, configs):
    (configs / "task" / "mine.yaml").write_text("name: mine\npromt: {}\n")
    code, out, err = reported(capsys, "--config-dir", str(configs))
    assert code == 0 and "  bbbp " in out
    assert "broken: mine" in err and "promt" in err


def test_markdown_has_a_table_for_each_modality(capsys, configs):
    _, out, _ = reported(capsys, "format=markdown", "modality=DNA")
    lines = out.splitlines()
    assert lines[0] == "### DNA"
    rows = [line for line in lines if line.startswith("| `")]
    assert len(rows) >= 8 and {line.count("|") for line in rows} == {8}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["modality=protien"], "did you mean protein?"),
        (["kind=regresion"], "did you mean regression"),
        (["format=html"], "valid formats: markdown, table"),
        (["modalty=DNA"], "did you mean modality?"),
        (["row=3"], "needs the name"),
        (["bbbp", "kind=regression"], "can't be used with the name"),
        (["bbbp", "esol"], "one task at a time"),
        (["bbbp", "row=first"], "row can't be 'first'"),
        (["bbbp", "--row"], "no key '--row'"),
    ],
)
def test_mistakes_name_the_valid_words(capsys, words, message):
    code, _, err = reported(capsys, *words)
    assert code == 2 and message in err


def test_words_are_sorted_in_one_place():
    assert split_words("v", ["a.csv", "name=x=y"], ["name"]) == (["a.csv"], {"name": "x=y"})
    with pytest.raises(ConfigError, match=r"mammal v: there is no key 'nmae' \(did you mean name"):
        split_words("v", ["nmae=x"], ["name"])


def test_the_walk_tells_source_split_figure_and_rights(capsys, configs):
    (configs / "mine.csv").write_text("smiles,y\nCCO,1.5\nCCN,2.5\n")
    code, out, err = reported(capsys, "mine", "row=2", "--config-dir", str(configs), f"paths.data={configs}")
    assert code == 0, err
    for fact in ("molecule", "number, nM", "file mine.csv", "random", "mae", "pearson 0.5, a poster, by year"):
        assert fact in out
    for fact in ("mine alone (in house)", "nobody yet", "row: 2 of 2", "smiles = CCN", "<MASK>", "answer"):
        assert fact in out
    assert "not available" not in out


def test_without_its_data_a_task_walks_its_example(capsys, configs):
    code, out, err = reported(capsys, "mine", "--config-dir", str(configs))
    assert code == 0, err
    assert "data: not available" in out and "mine.csv" in out and "smiles = CCO" in out and "answer" in out
    code, _, err = reported(capsys, "mine", "row=3", "--config-dir", str(configs))
    assert code == 1 and "mine.csv" in err, "the example stands for row 1 alone"

    (configs / "task" / "mine.yaml").write_text(MINE.format(path=""))
    code, out, _ = reported(capsys, "mine", "--config-dir", str(configs))
    assert code == 0 and "none is named (data.path=mine.csv)" in out


def test_descriptors_in_the_prompt_are_walked_with_data_and_without(capsys, configs):
    file = configs / "task" / "mine.yaml"
    file.write_text(MINE.format(path=", path: mine.csv") + "features: [smiles:descriptors]\n")
    for origin in ("row: the example", "row: 1 of 2"):
        code, out, err = reported(capsys, "mine", "--config-dir", str(configs), f"paths.data={configs}")
        assert code == 0, err
        assert origin in out and "descriptors:smiles.descriptors" in out and "answer" in out
        (configs / "mine.csv").write_text("smiles,y\nCCO,1.5\nCCN,2.5\n")


def test_an_absent_copy_of_a_known_set_says_where_it_comes_from(capsys, configs):
    code, out, _ = reported(capsys, "nucleosome")
    assert code == 0 and "PyBioMed" in out and "MAMMAL_DATA" in out and "row: the example" in out


@pytest.mark.parametrize(
    ("name", "modality", "answer"),
    [
        ("bbbp", "molecule", "yes or no"),
        ("moleculenet_bbbp", "molecule", "yes or no"),
        ("molecules", "molecule", "text"),
        ("iarc", "molecule", "4 classes"),
        ("amp", "protein", "yes or no"),
        ("protein_solubility", "protein", "yes or no"),
        ("cell_type", "cell", "11 classes"),
        ("dti_bindingdb_pkd", "pair", "number, pKd"),
        ("antibody_antigen_bind", "pair", "yes or no"),
        ("mpra", "DNA", "number, log2 effect"),
    ],
)
def test_what_a_task_is_about_follows_from_its_prompt(name, modality, answer):
    config = load_task(name)
    assert (catalogue.modality(config), catalogue.what_is_predicted(config)) == (modality, answer)


def test_the_list_needs_no_torch():
    import subprocess

    script = "import sys; from mammal.cli import main; main(['tasks']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True).returncode == 0
