"""`adapt=probe` on DNA with variants in place: the site, both strands and the description of the change."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import mammal
from mammal.bundle.folder import FORMAT
from mammal.errors import ConfigError, MammalError, TaskError
from mammal.inference.api import Mammal
from mammal.tokenization.strands import reverse_complement_in_place
from mammal.training.run import train

TASKS = {
    "next_base": ("variants", "<PATHOGENICITY><SENTINEL_ID_0> {sequence:dna}", "<SENTINEL_ID_0> {y:label}"),
    "mixed": ("mixed", "<PATHOGENICITY><SENTINEL_ID_0> {sequence:dna}", "<SENTINEL_ID_0> {y:label}"),
    "plain": ("plain", "<PATHOGENICITY><SENTINEL_ID_0> {sequence:dna}", "<SENTINEL_ID_0> {y:label}"),
    "molecule": ("variants", "<BBBP><SENTINEL_ID_0> {smiles:smiles}", "<SENTINEL_ID_0> {y:label}"),
}


def records(rows: int = 240, seed: int = 0) -> list[dict[str, str]]:
    """Substitutions at any place of 21 bases. The label depends on the bases next to it, and not on the strand: `yes`
    if an A follows or a T is before it."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(rows):
        bases, place = "".join(generator.choice(list("ACGT"), 21)), int(generator.integers(1, 20))
        alt = str(generator.choice([base for base in "ACGT" if base != bases[place]]))
        text = f"{bases[:place]}[{bases[place]}/{alt}]{bases[place + 1 :]}"
        label = "yes" if bases[place + 1] == "A" or bases[place - 1] == "T" else "no"
        found.append({"sequence": text, "smiles": "CCO", "y": label})
    return found


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory, small_bundle) -> Callable[..., object]:
    """Trains probes on the tasks above: `probed("next_base", site=False)`. Equal words give one run."""
    from mammal.configuration.compose import compose, parse_arguments

    folder = tmp_path_factory.mktemp("variants")
    rows = records()
    plain = [{**row, "sequence": row["sequence"].replace("[", "").split("/")[0]} for row in rows]
    for name, table in {"variants": rows, "plain": plain, "mixed": rows[:200] + plain[200:]}.items():
        with (folder / f"{name}.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(table)
    (folder / "configs" / "task").mkdir(parents=True)
    for name, (table, prompt, target) in TASKS.items():
        (folder / "configs" / "task" / f"{name}.yaml").write_text(
            f"defaults: [schema, _self_]\nname: {name}\nkind: classification\nlabels: ['no', 'yes']\n"
            f"metrics: [auroc]\nprompt: {{input: '{prompt}', target: '{target}'}}\n"
            f"data: {{source: file, path: {folder / table}.csv, split: random, fractions: [0.6, 0.3, 0.1]}}\n"
        )
    init, composed, known = small_bundle(), {}, {}

    def configuration(task: str):
        if task not in composed:  # composing takes longer than fitting
            words = [f"init={init}", "adapt=probe", "adapt.probe=linear", "trainer.accelerator=cpu", "test=false"]
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("MAMMAL_CONFIGS", str(folder / "configs"))
                composed[task] = compose("train", parse_arguments("train", [*words, f"task={task}"]))
        return composed[task].copy()

    def run(task: str, **adapt: Any):
        key = repr((task, adapt))
        if key not in known:
            config = configuration(task)
            config.output = str(folder / f"run{len(known)}")
            for name, value in adapt.items():
                config.adapt[name] = value
            known[key] = train(config)
        return known[key]

    return run


def opened(result) -> Mammal:
    return mammal.load(result.bundle, device="cpu")


def auroc(model: Mammal) -> float:
    rows = records(100, seed=1)
    return float(roc_auc_score([row["y"] == "yes" for row in rows], model.predict(rows)["probability"]))


SITE: dict[str, Any] = {"task": "next_base"}
PLAIN: dict[str, Any] = {"task": "next_base", "site": False}


def test_what_depends_on_the_bases_next_to_a_variant_is_learned_with_the_site_and_not_without(probed):
    assert auroc(opened(probed(**SITE))) > 0.9
    assert auroc(opened(probed(**PLAIN))) < 0.75


def test_the_bundle_says_what_the_probe_reads_and_is_refused_by_earlier_versions(probed):
    site, plain = (probed(**words).bundle for words in (SITE, PLAIN))
    formats = [json.loads((bundle / "config.json").read_text())["mammal"]["format"] for bundle in (site, plain)]
    assert formats == [FORMAT, 2]
    cards = [(bundle / "README.md").read_text() for bundle in (site, plain)]
    assert "at the variant and at 6 tokens on each side; fitted on both strands" in cards[0]
    assert "on 72 validation rows" in cards[0] and "at the variant" not in cards[1] and "strands" not in cards[1]
    probes = opened(probed(**PLAIN)).find_task(None).probes
    assert set(probes.state()) == {"features", "clip", "columns"} and probes.strands == 1


def test_answers_are_the_same_alone_together_and_after_saving_again(probed, tmp_path):
    model, rows = opened(probed(**SITE)), records(12, seed=2)
    rows[3]["sequence"] += "ACGT" * 20
    together = model.predict(rows)["probability"].to_numpy()
    alone = [model.predict([row])["probability"].iloc[0] for row in rows]
    assert together == pytest.approx(alone, rel=1e-4, abs=1e-5)
    assert model.predict(rows).equals(mammal.load(model.save(tmp_path / "again"), device="cpu").predict(rows))


def test_predictions_on_the_other_strand_are_closer_after_fitting_on_both(probed):
    rows = records(60, seed=3)
    other = [{**row, "sequence": reverse_complement_in_place(row["sequence"])} for row in rows]

    def apart(**words: Any) -> float:
        model = opened(probed(**words))
        pair = [model.predict(given)["probability"].to_numpy() for given in (rows, other)]
        return float(np.abs(pair[0] - pair[1]).mean())

    assert apart(**SITE) < 0.85 * apart(**SITE, strands="one")


def test_rows_of_all_parts_are_fitted_on_both_strands(probed):
    result = probed(**SITE, rows="all", ensemble=2)
    probes = opened(result).find_task(None).probes
    assert probes.strands == 2 and probes.fitted_on == "all" and probes.members == 2 and auroc(opened(result)) > 0.9


def test_applicability_compares_mean_states(probed):
    site, plain = (opened(probed(**words)) for words in (SITE, PLAIN))
    kept = [model.find_task(None).training_rows.arrays()["vectors"] for model in (site, plain)]
    assert kept[0].shape == kept[1].shape and np.allclose(kept[0], kept[1], atol=1e-3)
    found = [model.predict(records(9, seed=4))["similarity"].to_numpy() for model in (site, plain)]
    assert found[0] == pytest.approx(found[1], abs=1e-5)


def test_explanations_add_up_and_find_the_bases_next_to_the_variant(probed):
    found = opened(probed(**SITE)).explain(records(6, seed=5))
    change = found["output"] - found["baseline"]
    sums = found["attribution"].map(lambda given: float(np.nansum(given)))
    assert np.allclose(sums + found["difference"], change, atol=1e-3 * change.abs().max())


def test_a_row_without_a_variant_is_refused_alone(probed):
    said = opened(probed(**SITE)).predict(["ACGTAC[A/G]TTCA", "ACGTACATTCA"], "next_base")
    assert said["error"].notna().tolist() == [False, True] and "no variant is written in place" in said["error"].iloc[1]


def test_the_description_of_the_change(probed, tmp_path):
    result = probed(**PLAIN, features=["variant"], max_bytes=200_000)
    model, rows = opened(result), records(9, seed=6)
    assert json.loads((result.bundle / "config.json").read_text())["mammal"]["format"] == FORMAT
    assert auroc(model) > auroc(opened(probed(**PLAIN))) + 0.1, "it has the neighbours of the substitution"
    assert model.predict(rows).equals(mammal.load(model.save(tmp_path / "again"), device="cpu").predict(rows))
    with pytest.raises(TaskError, match=r"variant of the whole DNA sequence.*adapt.features"):
        model.explain(rows)


def test_auto_compares_the_description_where_every_row_has_a_variant(probed, capsys):
    features = opened(probed(**SITE, features="auto")).find_task(None).probes.reader.features
    assert list(features) in ([], ["variant"])
    assert not opened(probed("plain", features="auto")).find_task(None).probes.reader.features


def test_the_site_is_read_if_every_row_has_one_and_strands_follow(probed, capsys):
    plain = opened(probed("plain")).find_task(None).probes
    assert not plain.reader.site and plain.strands == 1
    mixed = opened(probed("mixed")).find_task(None).probes
    assert not mixed.reader.site and "the probe reads no site; adapt.site=true" in capsys.readouterr().err
    forced = opened(probed("mixed", site=True)).find_task(None).probes
    assert forced.reader.site and "training rows have no variant in place and are left out" in capsys.readouterr().err
    assert opened(probed("plain", strands="both")).find_task(None).probes.strands == 2
    probed("mixed", site=False)
    assert "variant in place" not in capsys.readouterr().err, "nothing reads variants, so nothing is said of them"


def test_settings_that_cannot_work_are_refused_with_a_remedy(probed):
    def refused(error: type[MammalError], task: str, **adapt: Any) -> str:
        with pytest.raises(error) as raised:
            probed(task, **adapt)
        return str(raised.value)

    assert "reads none (it reads smiles)" in refused(TaskError, "molecule", site=True)
    assert "only DNA has another strand" in refused(TaskError, "molecule", strands="both")
    assert "reads none (it reads smiles)" in refused(TaskError, "molecule", features=["variant"])
    assert "adapt.features=[variant]" in refused(TaskError, "next_base", features=["morgan"])
    assert "leave adapt.features out" in refused(TaskError, "plain", features=["variant"])
    assert "leave adapt.site out" in refused(TaskError, "plain", site=True)
    assert "auto, true or false" in refused(ConfigError, "next_base", site="yess")
    assert "both" in refused(ConfigError, "next_base", strands="bot")


def test_the_command_line_reads_the_bundle(probed, tmp_path: Path, capsys):
    from mammal.cli import main

    table = tmp_path / "rows.csv"
    table.write_text("sequence\n" + "".join(f"{row['sequence']}\n" for row in records(5, seed=7)))
    words = [f"bundle={probed(**SITE).bundle}", f"input={table}"]
    assert main(["predict", *words, f"output={tmp_path / 'answers.csv'}"]) == 0
    assert main(["embed", *words, f"output={tmp_path / 'vectors.parquet'}"]) == 0
    assert len((tmp_path / "answers.csv").read_text().splitlines()) == 6
