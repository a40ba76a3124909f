"""The command line: verbs, help, errors, exit codes."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

import mammal
from mammal import cli
from mammal.cli import VERBS, main
from mammal.configuration.arguments import package_folder
from mammal.configuration.compose import parse_arguments, quoted
from mammal.errors import ConfigError


def reported(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(words)
    out, err = capsys.readouterr()
    return code, out, err


def test_help_lists_every_verb(capsys):
    code, out, _ = reported(capsys, "--help")
    assert code == 0
    assert all(f"  {verb} " in out for verb in VERBS)


def test_nothing_is_wrong_use(capsys):
    code, out, _ = reported(capsys)
    assert code == 2 and "usage: mammal VERB" in out


def test_version(capsys):
    assert reported(capsys, "--version") == (0, f"mammal {mammal.__version__}\n", "")


def test_help_starts_quickly_and_loads_nothing_heavy():
    script = (
        "import sys; from mammal.cli import main; code = main(['--help']);"
        "heavy = {'torch', 'hydra', 'rich', 'lightning', 'pandas', 'rdkit', 'numpy'} & set(sys.modules);"
        "sys.exit(f'loaded {heavy}' if heavy else code)"
    )
    took = []
    for _ in range(3):
        begun = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        took.append(time.perf_counter() - begun)
        assert done.returncode == 0, done.stderr
    assert min(took) < 0.4


def test_every_config_of_a_verb_is_reached():
    configs = {file.stem for file in package_folder().glob("*.yaml")} - {"job"}
    assert not configs - set(VERBS), "VERBS of mammal/cli.py needs a line for these"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(capsys, verb):
    code, out, _ = reported(capsys, verb, "--help")
    assert code == 0 and f"mammal {verb}" in out


def test_help_of_a_verb_shows_its_keys(capsys):
    _, out, _ = reported(capsys, "predict", "--help")
    assert "every_label: false" in out and "shard_rows: 10000" in out


@pytest.mark.parametrize(
    ("words", "what", "hint"),
    [
        (["trian"], "no verb 'trian'", "did you mean train?"),
        (["train", "--multi-run"], "'--multi-run' is not an option", "--multirun"),
        (["train", "tiny"], "'tiny' is not a key=value", "mammal train --help"),
        (["fit", "task=bbbp"], "no verb 'fit'", "did you mean train?"),
        (["eval"], "no verb 'eval'", "did you mean evaluate?"),
        (["train", "bbbp", "optim.lr=1"], "'bbbp' is not a key=value", "mammal train task=bbbp optim.lr=1"),
        (["train", "tiny"], "'tiny' is not a key=value", "mammal train model=tiny"),
        (["train", "--task", "bbbp"], "'--task' is not an option", "mammal train task=bbbp"),
        (["train", "--seed=3", "task=bbbp"], "'--seed' is not an option", "mammal train seed=3 task=bbbp"),
        (["train", "--config-dir", "tests", "mine"], "'mine'", "mammal train task=mine --config-dir tests"),
        (["train", "--info", "all", "task=bbbp"], "'--info' is not an option", "--cfg"),
        (["predict", "demo/bundle", "a b.csv"], "'demo/bundle'", "mammal predict bundle=demo/bundle 'input=a b.csv'"),
        (["predict", "--model", "m", "--input", "a.csv"], "'--model'", "mammal predict bundle=m input=a.csv"),
        (["evaluate", "demo/bundle"], "'demo/bundle'", "mammal evaluate bundle=demo/bundle"),
        (["train", "trainer.max_time=10m", "task=bbbp"], "max_time is '10m'", "HH:MM:SS"),
        (["train", "trainer.max_time=10m", "task=bbbp"], "max_time is '10m'", "10m is written 00:10:00"),
        (["train", "trainer.max_time=1.5h", "task=bbbp"], "max_time is '1.5h'", "1.5h is written 01:30:00"),
        (["train", "trainer.max_time=10:00", "task=bbbp"], "max_time is '10:00'", "HH:MM:SS"),
        (["train", "trainer.max_time=99999999999999", "task=bbbp"], "max_time is 99999999999999", "days"),
        (["train", "modell=tiny"], "no key 'modell'", "did you mean model"),
        (["train", "optim.lrr=1"], "no key 'optim.lrr'", "did you mean optim.lr?"),
        (["train", "lr=1"], "no key 'lr'", "did you mean optim.lr?"),
        (["train", "model=tinny"], "no model 'tinny'", "did you mean tiny?"),
        (["train", "task=bbbpp"], "no task 'bbbpp'", "bbbp"),
        (["train", "optim.lr=[1"], "can't read 'optim.lr=[1'", "quote"),
        (["train", "trainer=3"], "must be a string", None),
        (["train", "task=bbbp", "task.version=new"], "task.version: Value 'new'", None),
        (["train", "lancher=joblib"], "no key 'lancher'", "launcher"),
        (["train", "task=bbbp", "hydra/launcher=baisc"], "no hydra/launcher 'baisc'", "did you mean basic?"),
        (["train", "paths.dta=x"], "no key 'paths.dta'", "did you mean paths.data?"),
        (["train", "task=bbbp", "task.promt.input=x"], "no key 'task.promt", "prompt"),
        (["train", "--config-dir", "nowhere"], "no folder 'nowhere'", None),
        (["predict"], "input must be given", "mammal predict input=…"),
        (["predict", "bundle=nowhere", "input=a.csv"], "no such folder", None),
        (
            ["predict", "bundle=b", "input=a.csv", "workers=two"],
            "workers must be a whole number or null",
            None,
        ),
        (["predict", "bundle=b", "input=a.csv", "every_label=some"], "every_label must be true or false", None),
        (["score", "bundle=b", "input=a.csv", "shard_rows=1.5"], "shard_rows must be a whole number or null", None),
        (["generate", "bundle=b", "n=abc"], "n must be a whole number, not 'abc'", None),
        (["properties", "input=a.csv", "output=b.csv", "shard_rows=many"], "shard_rows must be a whole number", None),
        (["names", "input=a.csv", "output=b.csv", "workers=all"], "workers must be a whole number or null", None),
        (["windows", "input=a.vcf", "output=b.csv", "window=wide"], "window must be a whole number, not 'wide'", None),
        (["windows", "input=a.vcf", "output=b.csv", "neighbours=near"], "neighbours must be true or false", None),
        (["evaluate", "bundle=b", "limit=abc"], "limit must be a whole number or null, not 'abc'", None),
        (["evaluate", "bundle=b", "trees=1.5"], "trees must be a whole number, not 1.5", None),
        (["evaluate", "bundle=b", "baselines=perhaps"], "baselines must be true, false or quick", None),
        (["evaluate", "samples=s.csv", "reference_limit=x"], "reference_limit must be a whole number or null", None),
        (["evaluate", "bundle=b", "rerank_weight=x"], "rerank_weight must be a number or null, not 'x'", None),
        (["predict", "bundle=b", "input=a.csv", "worker=2"], "no key 'worker'", "did you mean workers"),
        (["embed", "bundle=nowhere", "input=a.csv"], "embed needs an output", "output="),
        (["generate", "bundle=b", "prompt=<EOS>", "input=a.csv"], "both input and prompt", "one of them"),
        (["evaluate", "bundle=nowhere", "part=tets"], "no part 'tets'", "did you mean test?"),
        (["report", "run=x", "task=y"], "no key 'task'", "valid keys"),
        (["tasks", "bbbpp"], "unknown task 'bbbpp'", "bbbp"),
        (["tasks", "amp", "rwo=1"], "no key 'rwo'", "did you mean row?"),
        (["info", "a", "b"], "one bundle is needed", "mammal info FOLDER"),
        (["predict", "input=a.csv"], "a bundle or the task of a shipped head is needed", "bundle=FOLDER"),
        (["info", "nowhere"], "no such folder", None),
        (["bench", "tokeniser"], "no benchmark 'tokeniser'", "tokenizer"),
        (["bench", "peer_worker"], "no benchmark 'peer_worker'", None),
        (["new-task"], "one data file is needed", "my.csv"),
    ],
)
def test_mistakes_are_reported_in_two_lines(capsys, words, what, hint):
    code, _, err = reported(capsys, *words)
    assert code in (1, 2)
    assert what in err and (hint is None or hint in err)
    assert "Traceback" not in err and len(err.strip().splitlines()) <= 2


def test_failures_are_one_and_wrong_use_is_two(capsys):
    assert reported(capsys, "info", "nowhere")[0] == 1
    assert reported(capsys, "info", "a", "b")[0] == 2


def test_a_traceback_on_request(monkeypatch):
    monkeypatch.setenv("MAMMAL_TRACEBACK", "1")
    with pytest.raises(ConfigError):
        main(["trian"])


def test_interrupted_says_what_is_kept(capsys, monkeypatch):
    def stop(_: list[str]) -> int:
        raise KeyboardInterrupt("step 7 is kept in last.ckpt")

    monkeypatch.setattr("mammal.commands.info.run", stop)
    code, _, err = reported(capsys, "info", "x")
    assert code == 130 and "step 7 is kept in last.ckpt" in err


def test_operating_system_errors_have_no_traceback(capsys, monkeypatch):
    def full(_: list[str]) -> int:
        raise OSError(28, "No space left on device", "out.csv")

    monkeypatch.setattr("mammal.commands.info.run", full)
    code, _, err = reported(capsys, "info", "x")
    assert (code, err) == (1, "error: No space left on device: out.csv\n")


@pytest.mark.parametrize("value", ["CC(=O)[O-]", "a=b, c", "it's", "C:\\dir\\", "[NH4+]", "{x}", "\\'", "${x}"])
def test_text_keys_are_taken_as_typed(value):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    override = OverridesParser.create().parse_override(quoted(f"prompt={value}"))
    assert override.value() == value


def test_quotes_of_the_user_are_left(capsys):
    assert quoted("input='a b'") == "input='a b'"
    assert quoted("optim.lr=1e-3") == "optim.lr=1e-3"


def test_task_of_a_bundle_is_a_plain_name():
    arguments = parse_arguments("predict", ["task=mine", "input=a.csv"])
    assert arguments.task == "mine" and arguments.overrides == ["input=a.csv"]
    assert parse_arguments("train", ["task=mine"]).overrides == ["task=mine"]


def test_cfg_shows_the_composition(capsys):
    code, out, _ = reported(capsys, "train", "task=bbbp", "optim.lr=0.5", "--cfg")
    assert code == 0 and "lr: 0.5" in out and "name: bbbp" in out


@pytest.mark.parametrize("words", [["--cfg", "job"], ["-c", "job"], ["-c"], ["--cfg=all"]])
def test_cfg_is_taken_as_hydra_writes_it(capsys, words):
    code, out, _ = reported(capsys, "train", "task=bbbp", *words)
    assert code == 0 and "name: bbbp" in out


@pytest.mark.parametrize(
    "words",
    [
        ["train", "task=bbbp", "task.data.columns={smiles: SMILES}"],
        ["train", "task=bbbp", "task.data.columns.smiles=SMILES"],
        ["predict", "bundle=b", "input=a.csv", "columns.smiles=SMILES"],
    ],
)
def test_columns_are_renamed_from_the_command_line(capsys, words):
    code, out, err = reported(capsys, *words, "--cfg")
    assert code == 0, err
    assert "smiles: SMILES" in out


@pytest.mark.parametrize("name", ["IC50 (nM)", "a, b", "2024", "null?", "x=y", "true", "[1]"])
def test_names_of_columns_and_files_are_taken_as_typed(capsys, name):
    for words in (
        ["predict", "bundle=b", "input=a.csv", f"columns.smiles={name}"],
        ["train", "task=bbbp", f"task.data.columns.smiles={name}"],
        ["predict", "bundle=b", f"input={name}", f"names={name}"],
        ["train", "task=bbbp", f"task.data.path={name}", f"task.data.split_column={name}"],
    ):
        code, out, err = reported(capsys, *words, "--cfg")
        assert code == 0, err
        read = yaml.safe_load(out)
        values = [read.get("input"), read.get("names"), (read.get("columns") or {}).get("smiles")]
        data = read["task"]["data"] if words[0] == "train" else {}
        values += [data.get("path"), data.get("split_column"), (data.get("columns") or {}).get("smiles")]
        assert values.count(name) == len([word for word in words if word.endswith(f"={name}")]), values


def test_a_word_that_cant_be_read_is_shown_as_typed(capsys):
    code, _, err = reported(capsys, "train", "task=bbbp", "task.unit=mg (dry)")
    assert code == 2 and "can't read 'task.unit=mg (dry)'" in err


@pytest.mark.parametrize(
    ("words", "ours"),
    [
        (["train", "task=bbbp", "learning_rate=1"], "optim.lr"),
        (["train", "task=bbbp", "batch_size=8"], "data.tokens_per_batch"),
        (["train", "task=bbbp", "epochs=8"], "trainer.max_epochs"),
        (["train", "task=bbbp", "output_dir=x"], "output"),
        (["predict", "bundle=b", "input=a.csv", "batch_size=8"], "batch_tokens"),
        (["predict", "model=b", "input=a.csv"], "bundle"),
        (["predict", "bundle=b", "data=a.csv"], "input"),
        (["embed", "bundle=b", "input=a.csv", "gpu=0"], "device"),
    ],
)
def test_keys_of_other_tools_are_answered_with_ours(capsys, words, ours):
    code, _, err = reported(capsys, *words)
    assert code == 2 and f"did you mean {ours}?" in err


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["train", "task=bbbp", "optim.lr=-1"], "optim.lr must be greater than 0, not -1"),
        (["train", "task=bbbp", "optim.lr=nan"], "optim.lr must be greater than 0"),
        (["train", "task=bbbp", "data.tokens_per_batch=0"], "data.tokens_per_batch must be 1 or more, not 0"),
        (["train", "task=bbbp", "trainer.max_epochs=-3"], "trainer.max_epochs must be -1 or more, not -3"),
        (["predict", "bundle=b", "input=a.csv", "workers=-1"], "workers must be 0 or more, not -1"),
        (["generate", "bundle=b", "n=0"], "n must be 1 or more, not 0"),
    ],
)
def test_numbers_out_of_range_are_refused_before_anything_is_read(capsys, words, what):
    code, _, err = reported(capsys, *words)
    assert code == 2 and what in err


def test_the_help_of_a_verb_may_be_asked_for_in_front(capsys):
    assert reported(capsys, "help", "predict")[1] == reported(capsys, "predict", "--help")[1]


def test_benchmarks_are_listed_without_what_they_share(capsys):
    code, out, _ = reported(capsys, "bench")
    names = [line.split()[0] for line in out.splitlines()[1:]]
    assert code == 0 and {"dti", "tokenizer", "round_trips", "run"} <= set(names)
    assert not {"common", "machine", "models", "peer", "peer_worker"} & set(names)


def test_tasks_are_listed(capsys):
    code, out, _ = reported(capsys, "tasks")
    assert code == 0 and "bbbp" in out and "melting_point" in out


def test_own_tasks_are_listed_and_walked(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("MAMMAL_CONFIGS", "")
    folder = tmp_path / "task"
    folder.mkdir()
    (tmp_path / "mine.csv").write_text("smiles,y\nCCO,1.5\nCCN,2.5\n")
    (folder / "mine.yaml").write_text(
        "defaults: [schema, _regression, _self_]\nname: mine\nabout: my assay\n"
        f"data: {{source: file, path: {tmp_path / 'mine.csv'}}}\n"
        "prompt: {input: '<MASK> {smiles:smiles}', target: '{y:scalar}'}\n"
    )
    assert "\n  mine " in reported(capsys, "tasks", "--config-dir", str(tmp_path))[1]
    code, out, err = reported(capsys, "tasks", "mine", "row=2", "--config-dir", str(tmp_path))
    assert code == 0, err
    for step in ("row: 2 of 2", "smiles = CCN", "<MASK>", "label_values_DR", "values_DR", "answer", "y: value"):
        assert step in out


@pytest.mark.parametrize("word", ["task.views={sequence: [reference]}", "task.views.sequence=[reference]"])
def test_views_of_a_column_that_a_task_file_leaves_out_need_no_plus(capsys, word):
    code, out, err = reported(capsys, "train", "task=clinvar_snv", word, "--cfg")
    assert code == 0, err
    assert "views:\n    sequence:\n    - reference\n" in out


def test_a_change_of_a_task_in_a_mixture_says_how_it_is_written(capsys):
    code, _, err = reported(capsys, "train", "mixture=eight", "mixture.tasks.esol.loss=mae", "--cfg")
    assert code == 2 and "hint: ++mixture.tasks.esol.loss=VALUE changes the task in the mixture" in err
    code, out, err = reported(capsys, "train", "mixture=eight", "++mixture.tasks.esol.loss=mae", "--cfg")
    assert code == 0 and "loss: mae" in out, err
    code, _, err = reported(capsys, "train", "mixture=eight", "mixture.tasks.esol.los=mae", "--cfg")
    assert code == 2 and "did you mean loss" in err
    for words in (["train", "mixture=eight", "mixture.tasks.nosuch.loss=mae"], ["predict", "mixture.tasks.a.b=1"]):
        code, _, err = reported(capsys, *words)
        assert code == 2 and "changes the task" not in err
    code, _, err = reported(capsys, "train", "mixture={tasks: {esol: 1}}", "--cfg")
    assert code == 2 and "no mixture is chosen" in err and "++mixture={…} writes its keys" in err
    code, _, err = reported(capsys, "train", "mixture=eight", "mixture={tasks: {bbbq: 1}}", "--cfg")
    assert code == 2 and "there is no key 'mixture.tasks.bbbq'" in err and "mixture.tasks.bbbp" in err
    for words, key, meant in (
        (["optim={lrr: 1}"], "optim.lrr", "optim.lr"),
        (["adapt=lora", "adapt={rnk: 8}"], "adapt.rnk", "adapt.rank"),
        (["recipe=molecules"], "recipe", ""),
        (["~optim.lrr"], "optim.lrr", "optim.lr"),
    ):
        code, _, err = reported(capsys, "train", "task=bbbp", *words, "--cfg")
        assert code == 2 and f"there is no key '{key}'" in err and meant in err
    code, _, err = reported(capsys, "train", "experiment={seed: 1}", "--cfg")
    assert code == 2 and "experiment= takes a name" in err
    code, out, err = reported(capsys, "train", "++mixture={tasks: {esol: 1}}", "--cfg")
    assert code == 0 and "esol: 1" in out, err


def test_a_misspelt_key_of_a_sweep_is_reported(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = reported(capsys, "train", "-m", "task=clinvar_snv", "optim.lrr=0.1,0.2")
    assert code == 2 and "there is no key 'optim.lrr'" in err and "did you mean optim.lr" in err


def test_a_misspelt_key_of_a_task_file_is_reported_with_its_place(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("MAMMAL_CONFIGS", str(tmp_path))
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "mine.yaml").write_text("defaults: [schema, _self_]\nname: mine\npromt: {input: x}\n")
    code, _, err = reported(capsys, "train", "task=mine")
    assert code == 2 and f"{tmp_path}/task/mine.yaml: there is no key 'task.promt'" in err
    assert "did you mean prompt" in err


def test_new_task_writes_a_task_that_loads(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = "\n".join(f"{smiles},{i % 2},{i}.5" for i, smiles in enumerate(["CCO", "CCN", "c1ccccc1", "CC(=O)O"] * 3))
    Path("assays.csv").write_text(f"structure,active,note\n{rows}\n")
    code, out, err = reported(capsys, "new-task", "assays.csv", "target=active")
    assert code == 0, err
    assert "column structure: smiles" in out and "classification, labels 0, 1" in out

    from mammal.tasks.declaration.registry import load_task

    task = load_task("task/assays.yaml")
    assert (task.kind, task.data.split) == ("classification", "random")
    assert task.prompt.input == "<SENTINEL_ID_0> {structure:smiles}"
    code, _, err = reported(capsys, "new-task", "assays.csv")
    assert code == 2 and "exists already" in err


@pytest.mark.parametrize(
    ("cells", "entity"),
    [
        (["CCO", "c1ccccc1", "CN"], "smiles"),
        (["MKTAYIAKQRQISFVKSHFSRQ", "GLWSKIKEVGKEAAKAAAKA"], "peptide"),
        (["MKTAYIAKQRQISFVKSHFSRQ" * 5], "protein"),
        (["ACGTACGTTTGA", "ACGTNNACGTACG"], "dna"),
        (["1.5", "2"], None),
        (["yes", "no"], None),
    ],
)
def test_entities_are_known_by_their_letters(cells, entity):
    import pandas as pd

    from mammal.commands.guess_columns import look_at

    (column,) = look_at(pd.DataFrame({"x": cells}))
    assert (column.entity or None) == entity


def test_a_closed_pipe_is_no_failure():
    script = "from mammal.cli import main; import sys; sys.exit(main(['tasks']))"
    env = {**os.environ, "MAMMAL_CONFIGS": ""}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env
    ) as job:
        assert job.stdout is not None and job.stderr is not None
        job.stdout.close()
        assert b"Traceback" not in job.stderr.read()
        assert job.wait(60) == 0


def test_bad_rows_end_the_verb_with_three(capsys, monkeypatch):
    monkeypatch.setattr("mammal.commands.predict.run", lambda words: cli.BAD_ROWS)
    assert main(["predict"]) == 3
