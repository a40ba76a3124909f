"""The report shows the results, contains nothing from outside, and data can't inject HTML."""

import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import yaml

from mammal.configuration.compose import parse_arguments
from mammal.errors import DataError
from mammal.evaluation.reliability import Reliability
from mammal.evaluation.results import (
    OURS,
    Contender,
    Estimate,
    Shift,
    TaskResult,
    as_metrics,
    load_results,
    save_results,
    short,
)
from mammal.report import molecules, plots
from mammal.report.gather import report
from mammal.report.page import code, facts, figure, heading, html_table, page, paragraph
from mammal.report.sections import overview, predictions_section, samples_section
from mammal.report.task_section import task_section
from mammal.report.words import NAMES
from mammal.report.worst_rows import wrong_rows
from mammal.tasks.metrics.registry import METRICS

FOREST = "random forest"


def classification(rows: int = 60) -> TaskResult:
    random = np.random.default_rng(0)
    truth = random.integers(0, 2, rows)
    score = np.clip(truth * 0.4 + random.uniform(0, 0.6, rows), 0, 1)
    answers = pd.DataFrame({"row": range(rows), "sequence": "GIGKF", "truth": truth, OURS: score, FOREST: 1 - score})
    estimates = {"auroc": Estimate(0.91, 0.85, 0.95), "mcc": Estimate(0.5, 0.3, 0.7)}
    return TaskResult(
        task="amp",
        about="Antimicrobial or not",
        kind="classification",
        part="test",
        split="cluster",
        split_hash="0123456789abcdef",
        rows={"train": 500, "test": rows},
        metrics=["auroc", "mcc"],
        contenders=[Contender(OURS, estimates), Contender(FOREST, {"auroc": Estimate(0.4, 0.3, 0.5)}, seconds=1.5)],
        answers=answers,
        not_answered=[(7, "unknown residue 'J'")],
        labels=["0", "1"],
    )


def regression() -> TaskResult:
    truth = np.linspace(200.0, 600.0, 40)
    answers = pd.DataFrame({"row": range(40), "smiles": "CCO", "truth": truth, OURS: truth + 10, FOREST: truth - 25})
    answers.loc[3, OURS] = 999.0
    return TaskResult(
        task="melting_point",
        about="Melting points",
        kind="regression",
        part="test",
        split="scaffold",
        split_hash="fedcba9876543210",
        rows={"test": 40},
        metrics=["mae"],
        contenders=[
            Contender(OURS, {"mae": Estimate(10, 9, 11)}),
            Contender(FOREST, {"mae": Estimate(25, 24, 26)}),
        ],
        answers=answers.assign(low=truth - 50, high=truth + 50),
        unit="K",
    )


class References(HTMLParser):
    """Collects every attribute that could make a browser fetch something."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []
        self.started: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.started.append((tag, attrs))
        self.found += [value or "" for name, value in attrs if name.split(":")[-1] in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def whole_page() -> str:
    results = [classification(), regression()]
    answered = {"in.csv": pd.DataFrame({"smiles": ["CCO"], "melting_point": [159.0]})}
    set_aside = {"in.csv": pd.DataFrame({"row": [2], "reason": ["no molecule: 'C1CC'"]})}
    sections = [
        overview(results),
        *map(task_section, results),
        predictions_section(answered, set_aside),
        samples_section(["CCO", "C1CC"], "Two drawn."),
    ]
    return page("Report", "All of it", sections)


def test_page_is_self_contained():
    html = whole_page()
    parser = References()
    parser.feed(html)
    assert all(reference.startswith("#") for reference in parser.found), parser.found
    assert not {"script", "link", "iframe", "img"} & set(parser.tags)
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", html))
    assert "@import" not in html


def test_data_cannot_write_into_the_page():
    frame = pd.DataFrame({"smiles": ["<script>alert(1)</script>"], "value": [1.0]})
    html = page("<b>", "", [predictions_section({"<i>.csv": frame}, {}), samples_section(["<img src=x>"], "")])
    assert not {"script", "img", "i", "b"} & set(_tags(html))
    assert "&lt;script&gt;" in html


HOSTILE = """<script>alert('"')</script>&amp;<b>"""


def test_every_text_of_a_task_is_shown_as_it_was_written():
    result = classification()
    answers = result.answers.rename(columns={FOREST: HOSTILE, "sequence": "<i>&"}).assign(**{"<i>&": HOSTILE})
    figures_of = {**result.ours.estimates, f"auroc/{HOSTILE}": Estimate(0.5, 0.4, 0.6)}
    result = replace(
        result,
        task=HOSTILE,
        about=HOSTILE,
        split=HOSTILE,
        contenders=[Contender(OURS, figures_of), Contender(HOSTILE, figures_of)],
        answers=answers,
        not_answered=[(7, HOSTILE)],
        leakage={"test": 1, f"test/{HOSTILE}": 1},
        reliability={HOSTILE: Reliability([0.1], [0.2], [60], 0.1, 0.2, 0.3, 0.4)},
        shifts=[Shift(HOSTILE, 9, 9, 9, 0.1, 0.2, 0.1, 1)],
    )
    html = page(HOSTILE, HOSTILE, [overview([result]), task_section(result)], HOSTILE)
    parser = References()
    parser.feed(html)
    assert html.count("<svg") == 4
    assert not {"script", "i", "b"} & set(parser.tags)
    labels = [dict(attrs)["aria-label"] for tag, attrs in parser.started if tag == "svg"]
    assert labels[0] == result.title
    assert "".join(parser.words).count(HOSTILE) > 10, "shown with its own characters, escaped once"


@pytest.mark.parametrize(
    "part",
    [
        lambda: paragraph(HOSTILE),
        lambda: paragraph(f"`{HOSTILE}`", note=True),
        lambda: heading(HOSTILE),
        lambda: code([HOSTILE]),
        lambda: facts({HOSTILE: 1}),
        lambda: facts({"a": HOSTILE}),
        lambda: html_table([HOSTILE], []),
        lambda: html_table(["a"], [[HOSTILE]], kinds=["mono"]),
        lambda: figure(plots.forest("AUROC", {HOSTILE: (1.0, 0.0, 2.0)})),
        lambda: figure(plots.forest("AUROC", {OURS: (1.0, 0.0, 2.0)}), HOSTILE),
        lambda: molecules.grid(["CCO"], [HOSTILE]),
        lambda: molecules.grid([HOSTILE]),
        lambda: molecules.grid([f"*C |${HOSTILE};$|"]),
    ],
)
def test_parts_escape_their_text_once(part):
    parser = References()
    parser.feed(part())
    assert not {"script", "b"} & set(parser.tags)
    assert HOSTILE in "".join(parser.words)


def test_dollars_in_a_name_are_no_formula():
    assert "a$b_$" in plots.forest("a$b_$", {"x$^$": (1.0, 0.0, 2.0)})


def test_task_section_shows_every_contender_with_its_interval():
    body = task_section(classification()).body
    assert "0.910" in body and "(0.850 to 0.950)" in body
    assert FOREST in body and "0.400" in body
    assert "500 train" in body and "0123456789ab" in body
    assert "unknown residue" in body


def test_most_wrong_row_comes_first():
    body = task_section(regression()).body
    worst = body[body.index("largest errors") :]
    first_row = worst[worst.index("<tbody>") : worst.index("</tr>", worst.index("<tbody>"))]
    assert '<td class="number">3</td>' in first_row and "999" in first_row, "row 3 holds the planted error"


def test_labels_are_matched_as_the_task_matches_them():
    result = classification()
    as_numbers = replace(result, answers=result.answers.assign(truth=result.answers["truth"].astype(float)))
    drawn = [re.findall("<svg.*?</svg>", task_section(r).body, flags=re.DOTALL) for r in (result, as_numbers)]
    assert len(drawn[0]) == 3 and drawn[0] == drawn[1]


def test_undefined_metrics_are_shown_as_such(tmp_path: Path):
    nothing = float("nan")
    contenders = [Contender(OURS, {"auroc": Estimate(nothing, nothing, nothing), "mcc": Estimate(0.1, 0.0, 0.2)})]
    result = replace(classification(), contenders=contenders)
    save_results([result], tmp_path)
    assert "NaN" not in (tmp_path / "evaluation.json").read_text()
    loaded = load_results(tmp_path)
    assert "nan" not in task_section(loaded[0]).body.lower()
    assert "<svg" not in overview(loaded).body


@pytest.mark.parametrize("spoil", ["one class", "no answers", "several targets", "gaps of a baseline"])
def test_section_stands_without_the_figures_it_cannot_draw(spoil: str):
    result = classification()
    answers = result.answers
    spoiled = {
        "one class": answers.assign(truth=1),
        "no answers": answers.iloc[:0],
        "several targets": answers.assign(target_column="a"),
        "gaps of a baseline": answers.assign(**{FOREST: answers[FOREST].where(answers["row"] > 5)}),
    }[spoil]
    body = task_section(replace(result, answers=spoiled)).body
    assert "0.910" in body
    assert ("<svg" in body) == (spoil == "gaps of a baseline")


def test_set_aside_rows_are_reported_with_their_reason():
    body = predictions_section(
        {"in.csv": pd.DataFrame({"a": [1]})}, {"in.csv": pd.DataFrame({"row": [2], "reason": ["empty cell"]})}
    ).body
    assert "2 rows read, 1 answered, 1 without an answer" in body
    assert '<td class="reason">empty cell</td>' in body


def test_results_survive_their_files(tmp_path: Path):
    saved = [classification(), regression()]
    save_results(saved, tmp_path)
    loaded = load_results(tmp_path)
    assert [r.contenders for r in loaded] == [r.contenders for r in saved]
    assert loaded[0].not_answered == [(7, "unknown residue 'J'")]
    pd.testing.assert_frame_equal(loaded[1].answers, saved[1].answers)


def test_missing_and_damaged_results_are_reported(tmp_path: Path):
    with pytest.raises(DataError, match="no evaluation"):
        load_results(tmp_path)
    (tmp_path / "evaluation.json").write_text("{")
    with pytest.raises(DataError, match="not an evaluation"):
        load_results(tmp_path)


def test_metrics_of_a_bundle_name_split_and_interval():
    figures = as_metrics([classification()])["amp"]["test"]
    assert figures["split"] == "cluster" and figures["rows"] == 60
    assert figures[OURS]["auroc"] == [0.91, 0.85, 0.95]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.roc({OURS: (np.array([0, 1, 1]), np.array([0.1, 0.9, 0.4]))}),
        lambda: plots.precision_recall({OURS: (np.array([0, 1, 1]), np.array([0.1, 0.9, 0.4]))}),
        lambda: plots.calibration(np.array([0, 1, 1]), np.array([0.1, 0.9, 0.4])),
        lambda: plots.parity(np.array([1.0, 2.0]), np.array([1.5, 1.9]), "K", np.array([[1, 2], [1, 3.0]])),
        lambda: plots.parity(np.array([1.0]), np.array([1.0])),
        lambda: plots.learning_curves("Loss", {"a": ([1, 2], [3.0, 2.0]), "b": ([1, 2], [1.0, 0.5])}, "loss"),
        lambda: plots.forest("AUROC", {OURS: (0.9, 0.8, 0.95), FOREST: (0.8, 0.7, 0.9)}),
    ],
)
def test_figures_are_valid_svg_in_the_colours_of_the_page(draw):
    svg = draw()
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert "var(--ink)" in svg and "var(--series-1)" in svg
    assert not re.search(r"#0[1-7]0[1-7]0[1-7]\b", svg), "a stand-in colour was left"
    assert draw() == svg, "the same data draw the same file"


def test_long_tables_are_thinned_but_not_hidden():
    truth = np.arange(20_000.0)
    svg = plots.parity(truth, truth)
    assert svg.count("<use") < 5_000
    assert "4,000 of 20,000 rows" in svg


def test_molecules_are_counted_by_structure():
    assert molecules.count(["CCO", "OCC", "C1CC", ""]) == (2, 1)


def test_invalid_molecules_stand_in_the_grid():
    grid = molecules.grid(["CCO", "C1CC"])
    assert grid.count("<svg") == 1 and grid.count("invalid") >= 1
    assert "C1CC" in grid


@pytest.mark.parametrize(("value", "shown"), [(0.9061, "0.906"), (45.312, "45.3"), (123456.0, "123456"), (0.0, "0.00")])
def test_figures_are_short(value: float, shown: str):
    assert short(value) == shown


def _tags(html: str) -> list[str]:
    parser = References()
    parser.feed(html)
    return parser.tags


WORDS = ["task=melting_point", "output='my run'", "task.metrics=[mae,rmse]"]
"""Overrides of a run as Hydra records them."""


def run_folder(root: Path) -> Path:
    """What training, evaluation, prediction and sampling leave behind, in small."""
    save_results([regression()], root / "evaluation")
    (root / "metrics.csv").write_text("step,train/loss,valid/loss\n0,3.0,\n5,2.0,\n9,,1.5\n")
    (root / "config").mkdir()
    (own := root / "my configs").mkdir()
    reported = {
        "overrides": {"hydra": [f"hydra.searchpath=['file://{own}']", "hydra.mode=RUN"], "task": WORDS},
        "runtime": {"cwd": str(root), "config_sources": [{"path": str(own), "schema": "file"}]},
    }
    (root / "config" / "hydra.yaml").write_text(yaml.safe_dump({"hydra": reported}))
    (root / "molecules.csv").write_text("smiles,prediction\nCCO,159.0\n")
    pd.DataFrame({"row": [2], "reason": ["no molecule: 'C1CC'"]}).to_parquet(root / "molecules.errors.parquet")
    (root / "samples.csv").write_text('text,score\nCCO,-3.0\nC1CC,-2.0\n""\n')
    return root


def test_page_gathers_what_a_run_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = run_folder(tmp_path)
    html = report(run, predictions=[run / "molecules.csv"], samples=run / "samples.csv", title="My run")
    for shown in ("My run", FOREST, "Training loss", "Validation loss", "C1CC", "1 of 3"):
        assert shown in html
    parser = References()
    parser.feed(html)
    line = next(words for words in parser.words if words.startswith("mammal train"))
    assert line == "mammal train --config-dir 'my configs' task=melting_point 'output=my run' 'task.metrics=[mae,rmse]'"
    monkeypatch.chdir(run)
    assert parse_arguments("train", shlex.split(line)[2:]).overrides == WORDS, "pasted, it gives the words of the run"
    assert f"<code>{run}</code>" in html, "the folder in which relative paths hold"
    assert '<td class="number">159</td>' in html, "numbers of a CSV are shown as numbers"
    assert "10" in re.findall(r"optimiser steps</dt><dd>([^<]*)", html)


def test_empty_folder_and_wrong_samples_are_reported(tmp_path: Path):
    with pytest.raises(DataError, match="contains no results"):
        report(tmp_path)
    (tmp_path / "s.csv").write_text("smiles\nCCO\n")
    with pytest.raises(DataError, match="no column 'text'"):
        report(tmp_path, samples=tmp_path / "s.csv")
    with pytest.raises(DataError):
        report(tmp_path, predictions=[tmp_path / "absent.csv"])


def generation(answers: list[str], figures: dict[str, list[float]]) -> TaskResult:
    """Generated text with the values of its metrics for each row."""
    frame = pd.DataFrame({"row": range(len(answers)), "smiles": "CCO", "truth": "CCN", OURS: answers, **figures})
    means = {name: Estimate(float(np.mean(values)), 0, 1) for name, values in figures.items()}
    return replace(
        classification(),
        kind="generation",
        labels=[],
        metrics=list(figures),
        contenders=[Contender(OURS, means)],
        answers=frame,
        not_answered=[],
        molecules=["smiles"],
    )


def test_right_answers_are_never_listed_as_wrong():
    right = generation(["CCN"] * 9, {"molecule_match": [1.0] * 9, "exact_match": [1.0] + [0.0] * 8})
    assert wrong_rows(right).judged == 9 and not len(wrong_rows(right).rows), "another spelling is right, too"
    body = task_section(right).body
    assert "None: all 9 evaluated answers are right." in body
    assert "<svg" not in body[body.index("Rows with wrong answers") :]

    mixed = {"molecule_match": [1.0, 0.0, 0.0, 1.0], "morgan_similarity": [1.0, 0.6, 0.1, 1.0]}
    wrong = wrong_rows(generation(["CCN", "CCNC", "c1ccccc1", "NCC"], mixed))
    assert wrong.rows["row"].tolist() == [2, 1] and wrong.judged == 4, "the least similar one is the worst"

    valid = wrong_rows(generation(["CCN", "C1CC"], {"validity": [1.0, 0.0], "uniqueness": [1.0, 1.0]}))
    assert valid.rows["row"].tolist() == [1]
    errors = {"condition_mae": [0.0, 2.0, 0.5], "condition_mae_shuffled": [1.0, 1.0, 1.0]}
    assert wrong_rows(generation(["C", "CC", "CCC"], errors)).rows["row"].tolist() == [1, 2]
    unknown = generation(["C"], {"validity": [float("nan")]})
    assert not wrong_rows(unknown).judged and "Rows with" not in task_section(unknown).body


def test_the_label_decides_whether_a_class_is_wrong():
    frame = pd.DataFrame({"row": range(4), "smiles": "CCO", "truth": [1, 0, 0, 1], OURS: [0.3, 0.3, 0.1, 0.05]})
    result = replace(
        classification(), answers=frame.assign(label=["1", "1", "0", "0"]), contenders=[ONE], molecules=["smiles"]
    )
    assert wrong_rows(result).rows["row"].tolist() == [3, 1], "the threshold of this task is below 0.3"
    assert wrong_rows(replace(result, answers=frame)).rows["row"].tolist() == [3, 0], "0.5 if no label was recorded"
    body = task_section(result).body
    for words in ("positive class: 1", "row 3", "true class 1", "predicted 0", "probability of 1: 0.0500"):
        assert words in body
    many = pd.DataFrame({"row": range(3), "smiles": "CCO", "truth": ["a", "b", "c"], OURS: [0.9, 0.5, 0.8]})
    more = replace(result, labels=["a", "b", "c"], answers=many.assign(label=["a", "c", "b"]))
    assert wrong_rows(more).rows["row"].tolist() == [2, 1], "the surest one first"
    right = replace(result, answers=frame.assign(label=["1", "0", "0", "1"]))
    assert "None: all 4 evaluated answers are right." in task_section(right).body


ONE = Contender(OURS, {"auroc": Estimate(0.9, 0.8, 1.0), "mcc": Estimate(0.5, 0.4, 0.6)})


def test_the_worst_molecules_are_drawn_with_their_values():
    result = replace(regression(), molecules=["smiles"])
    body = task_section(result).body
    worst = body[body.index("Rows with the largest errors") :]
    assert worst.count("<svg") == 8 and 'class="mark' not in worst
    card = re.sub(r"<svg.*?</svg>|<[^>]+>", " ", worst[worst.index("<figcaption>") :])[:200]
    assert re.search(r"row 3\s+true 231 K\s+predicted 999 K\s+error 768 K\s+CCO", card)
    assert "8 of 40 rows shown. Sorted by absolute error." in worst and "answers_melting_point.csv" in worst
    pairs = replace(result, answers=result.answers.assign(other="CCN"), molecules=["smiles", "other"])
    drawn = task_section(pairs).body
    assert drawn[drawn.index("largest errors") :].count("<svg") == 12, "at most a dozen"
    assert "<svg" not in task_section(regression()).body.split("largest errors")[1], "no molecules are known"


def drawn_cards(body: str) -> list[tuple[int, str]]:
    """The number of drawings and the words of each card below the rows with wrong answers."""
    worst = body[body.index("Rows with wrong answers") :]
    cards = re.findall(r'<figure(?: class="several")?>(?!<img)(.*?)</figure>', worst, flags=re.DOTALL)
    words = [" ".join(re.sub(r"<svg.*?</svg>|<[^>]+>", " ", card, flags=re.DOTALL).split()) for card in cards]
    return [(card.count("<svg"), text) for card, text in zip(cards, words, strict=True)]


def test_each_component_of_a_generated_answer_is_drawn():
    result = generation(["CCO.CC(=O)Cl"], {"molecule_match": [0.0]})
    reaction = replace(result, generated=["reactants"], answers=result.answers.assign(truth="CCO.CC(=O)O.O"))
    assert drawn_cards(task_section(reaction).body) == [
        (1, "row 0: input CCO"),
        (3, "row 0, reactants: true molecule CCO.CC(=O)O.O"),
        (2, "row 0, reactants: answer of MAMMAL CCO.CC(=O)Cl"),
    ]
    salt = replace(reaction, answers=reaction.answers.assign(truth="CC(=O)[O-].[Na+]", **{OURS: "C1CC"}))
    assert [count for count, _ in drawn_cards(task_section(salt).body)] == [1, 1, 0], "a salt is one substance"
    assert [words for _, words in drawn_cards(task_section(replace(reaction, generated=[])).body)] == [
        "row 0 true: CCO.CC(=O)O.O answer: CCO.CC(=O)Cl CCO"
    ]


def test_both_molecules_of_a_generated_pair_are_drawn():
    result = generation(["CCN", "OCC"], {"molecule_match": [0.0, 0.0]})
    answers = result.answers.assign(row=7, target_column=["a", "b"], truth=["C", "O"])
    pair = replace(result, answers=answers, generated=["a", "b"])
    assert [words for _, words in drawn_cards(task_section(pair).body)] == [
        "row 7: input CCO",
        "row 7, a: true molecule C",
        "row 7, a: answer of MAMMAL CCN",
        "row 7: input CCO",
        "row 7, b: true molecule O",
        "row 7, b: answer of MAMMAL OCC",
    ]
    assert len(drawn_cards(task_section(replace(pair, generated=["b"])).body)) == 4, "`a` is a number or another text"


def test_samples_of_several_targets_are_drawn(tmp_path: Path):
    (tmp_path / "pairs.csv").write_text("a_text,a_score,b_text,b_score,c_text\nCCO,-1,CCN.O,-2,x\nC1CC,-1,C,-2,y\n")
    body = report(tmp_path, samples=tmp_path / "pairs.csv")
    assert body.count("<svg") == 4, "CCO, both components of CCN.O, C"
    for words in ("row 1, a", "row 1, b", "row 2, a", "row 2, b", "4 strings"):
        assert words in body
    assert ", c" not in body


def test_units_and_plain_words_stand_by_each_figure():
    body = task_section(regression()).body
    for words in ("mean absolute error / K ↓", "true value / K", "predicted value / K", "absolute error of MAMMAL / K"):
        assert words in body
    assert "mean absolute error / K ↓" in overview([regression()]).body
    two = task_section(classification()).body
    for words in ("positive class: 1", "share of class 1 found", "predicted probability of class 1", "AUROC ↑"):
        assert words in two
    assert all(metric in NAMES for metric in METRICS), "each metric has words"


def test_intervals_are_explained_once():
    html = page(
        "t", "", [overview([classification(), regression()]), *map(task_section, [classification(), regression()])]
    )
    assert html.count("95\u00a0% confidence interval. ") == 1 and "Student" not in html


def test_cut_lists_say_how_much_is_shown():
    frame = pd.DataFrame({"smiles": ["CCO"] * 36})
    reasons = pd.DataFrame({"row": range(60), "reason": "empty cell"})
    body = predictions_section({"in.csv": frame}, {"in.csv": reasons}).body
    assert "8 of 36 answers shown" in body and "50 of 60 rows shown" in body
    assert "All 3 answers shown" in predictions_section({"in.csv": frame.head(3)}, {}).body
    samples = samples_section(["CCO"] * 100, "").body
    assert "48 of 100 strings shown" in samples and samples.count("<svg") == 48
    refused = [(n, "too long") for n in range(70)]
    assert "50 of 70 rows shown" in task_section(replace(classification(), not_answered=refused)).body
    answers = classification().answers.assign(**{f"b{n}": 0.5 for n in range(6)})
    contenders = [ONE, *(Contender(f"b{n}", ONE.estimates) for n in range(6))]
    assert (
        "5 of 7 models are shown"
        in task_section(replace(classification(), answers=answers, contenders=contenders)).body
    )
