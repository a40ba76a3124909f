"""Numbers from a head of one task alone: two tasks with equal prompts and opposite numbers, from training to use."""

import numpy as np
import pandas as pd
import pytest
import yaml

import mammal
from mammal.cli import main
from mammal.errors import ConfigError
from mammal.exporting.onnx_graph import why_not
from mammal.training.run import train

TASK = """
defaults: [schema, _regression, _self_]
name: NAME
prompt: {input: "<MASK> {smiles:smiles}", target: "{NAME:scalar}"}
metrics: [rmse, r2]
data: {source: file, path: PATH, split: random, fractions: [0.7, 0.15, 0.15]}
"""
BOTH = "++mixture={tasks: {long: {own_head: OWN}, short: {own_head: OWN}}}"
STILL = ("adapt=full", "adapt.start=probe", "optim.lr=1e-12", "trainer.max_steps=1", "test=false")
MOLECULES = ["C" * n + end for n in range(1, 21) for end in ("", "O", "N", "Cl")]


@pytest.fixture
def opposite(toy, small_bundle, tmp_path):
    """Composes runs from a small bundle over two tasks; the answer of one is minus that of the other."""
    table = pd.DataFrame({"smiles": MOLECULES, "long": [float(len(smiles)) for smiles in MOLECULES]})
    table.assign(short=-table["long"]).to_csv(tmp_path / "lengths.csv", index=False)
    for name in ("long", "short"):
        declared = TASK.lstrip().replace("PATH", str(tmp_path / "lengths.csv")).replace("NAME", name)
        (tmp_path / f"configs/task/{name}.yaml").write_text(declared)
    init = small_bundle(scalars_prediction_head={"layers": [8]})
    return lambda *words: toy(f"init={init}", *words)


def test_heads_of_their_own_learn_what_a_shared_head_cannot(opposite, tmp_path, capsys):
    bundles = {}
    for own in ("true", "false"):
        words = (BOTH.replace("OWN", own), *STILL, f"output={tmp_path / own}")
        bundles[own] = train(opposite(*words)).bundle
        notes = [line for line in capsys.readouterr().err.splitlines() if "scalar head from ridge" in line]
        assert [line.split(": scalar")[0] for line in notes] == (
            ["long", "short"] if own == "true" else ["long, short"]
        )
    numbers = {own: mammal.load(bundle, device="cpu") for own, bundle in bundles.items()}
    asked = {
        own: {t: model.predict(MOLECULES, t)["prediction"] for t in ("long", "short")} for own, model in numbers.items()
    }
    truth = np.array([len(smiles) for smiles in MOLECULES])
    assert np.corrcoef(asked["true"]["long"], truth)[0, 1] > 0.9
    assert np.corrcoef(asked["true"]["short"], -truth)[0, 1] > 0.9
    centred = {task: values - values.mean() for task, values in asked["false"].items()}
    assert np.allclose(centred["long"], centred["short"], atol=1e-3)  # one head, equal prompts: equal answers


def test_names_that_give_the_same_head_are_refused(opposite, tmp_path):
    file = tmp_path / "configs/task/long.yaml"
    for name in ("a-b", "a_b"):
        (file.parent / f"{name}.yaml").write_text(file.read_text().replace("name: long", f"name: {name}"))
    both = "++mixture={tasks: {a-b: {own_head: true}, a_b: {own_head: true}}}"
    with pytest.raises(ConfigError, match="tasks a-b and a_b would share the head numbers_a_b"):
        train(opposite(both, *STILL))


def test_a_model_without_the_head_names_the_task(opposite, tmp_path):
    bundle = train(opposite("task=long", "adapt=full", "trainer.max_steps=1", "test=false")).bundle
    file = bundle / "task.yaml"
    declared = yaml.safe_load(file.read_text())
    declared["tasks"]["long"]["config"]["own_head"] = True
    file.write_text(yaml.safe_dump(declared))
    model = mammal.load(bundle, device="cpu")
    with pytest.raises(ConfigError, match="no head numbers_long, which task long needs"):
        model.predict(["CCO"], "long")
    assert why_not(model.find_task("long"), model.model, ()) == "the model lacks its own head"


def test_the_bundle_keeps_the_heads_and_a_head_alone_can_be_trained(opposite, tmp_path, capsys):
    first = train(opposite(BOTH.replace("OWN", "true"), *STILL)).bundle
    model = mammal.load(first, device="cpu")
    assert set(model.model.config.vector_heads) == {"numbers_long", "numbers_short"}
    capsys.readouterr()
    assert main(["info", str(first)]) == 0
    assert "heads of single tasks and features: numbers_long, numbers_short" in capsys.readouterr().out
    copy = mammal.load(model.save(tmp_path / "copy"), device="cpu")
    one, again = (m.predict(["CCO", "CCCCCC"], "short")["prediction"] for m in (model, copy))
    assert one.equals(again)
    words = ("task=long", "task.own_head=true", "adapt=head", "adapt.save=adapters", "optim.lr=0.1", "adapt.ensemble=2")
    words += ("trainer.max_steps=3", "test=false", f"init={first}", f"output={tmp_path / 'more'}")
    tuned = mammal.load(train(opposite(*words)).bundle, device="cpu")
    assert len(tuned.model.members) == 2
    assert not tuned.predict(["CCO"], "long")["prediction"].equals(model.predict(["CCO"], "long")["prediction"])
    before, after = (m.model.t5_model.shared.weight for m in (model, tuned))
    assert before.equal(after)
    kept = (BOTH.replace("OWN", "true"), *STILL, f"init={first}", f"output={tmp_path / 'kept'}")
    train(opposite(*kept))
    assert capsys.readouterr().err.count("its scalar head is kept") == 2
