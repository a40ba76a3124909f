"""Sweeps: jobs that fail and jobs that succeed, the table at the end, every launcher."""

import csv
import json
import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from mammal.cli import main
from mammal.commands.sweep import direction
from mammal.configuration.compose import compose, parse_arguments
from mammal.errors import MammalError

PAGE = Path(__file__).resolve().parents[3] / "docs" / "launching.md"
MOLECULES = ["C" * n + end for n in range(1, 9) for end in ("O", "N", "C#N", "Cl")]
QUICK = ["task=toy", "model=debug", "debug=limit"]


def installed(plugin: str) -> bool:
    try:
        return find_spec(f"hydra_plugins.{plugin}") is not None
    except ModuleNotFoundError:
        return False


def needs(plugin: str, extra: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not installed(plugin), reason=f"needs the extra `{extra}`")


@pytest.fixture(autouse=True)
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task over 32 molecules, known by name, and a working folder of its own."""
    rows = [f"{smiles},{len(smiles) / 2}" for smiles in MOLECULES]
    (tmp_path / "toy.csv").write_text("\n".join(["smiles,y", *rows]) + "\n")
    (tmp_path / "configs" / "task").mkdir(parents=True)
    (tmp_path / "configs" / "task" / "toy.yaml").write_text(
        "defaults: [schema, _regression, _self_]\nname: toy\nmetrics: [pearson, rmse]\n"
        f"data: {{source: file, path: {tmp_path / 'toy.csv'}, split: random, fractions: [0.5, 0.25, 0.25]}}\n"
        "prompt: {input: '<MASK> {smiles:smiles}', target: '{y:scalar}'}\n"
    )
    monkeypatch.setenv("MAMMAL_CONFIGS", str(tmp_path / "configs"))
    monkeypatch.chdir(tmp_path)


def table(folder: str) -> list[dict[str, str]]:
    with Path(folder, "sweep.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def swept_by(*words: str) -> subprocess.CompletedProcess[str]:
    """Two jobs from the command line, in a process of their own, as launchers start further ones from it."""
    words = ("-m", *QUICK, "seed=1,2", "test=false", "output=swept", *words)
    command = [sys.executable, "-m", "mammal.cli", "train", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_job_that_fails_is_named_and_the_others_are_kept(capsys):
    words = ["train", "-m", *QUICK, "model.num_heads=x,2", "output=swept", "resume=auto"]
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert "1 of 2 jobs failed: job 0 (model.num_heads=x)" in err and "Traceback" not in err
    assert "job 0: mammal train: model.num_heads must be a whole number" in err
    failed, done = table("swept")
    assert (failed["status"], done["status"]) == ("failed", "done")
    assert float(done["valid/loss"]) > 0 and done["test/toy/pearson"] and not failed["valid/loss"]
    assert re.search(r"^1 +2 +\S+ +pearson \S+ +pearson \S+ \(\S+ to \S+\)", out, flags=re.MULTILINE)

    weights = Path("swept", "1", "bundle", "model.safetensors")
    written = weights.stat().st_mtime_ns
    assert main(words) == 1
    assert weights.stat().st_mtime_ns == written and "done before" in capsys.readouterr().err


def test_means_over_seeds_stand_beneath_the_jobs(capsys):
    assert main(["train", *QUICK, "sweep=seeds", "test=false", "output=swept"]) == 0
    out = capsys.readouterr().out
    losses = [float(job["valid/loss"]) for job in table("swept")]
    with Path("swept", "seeds.csv").open(encoding="utf-8") as file:
        (line,) = csv.DictReader(file)
    assert line["seeds"] == "3" and float(line["valid/loss_mean"]) == pytest.approx(sum(losses) / 3)
    assert re.search(r"^seeds +valid +test$", out, flags=re.MULTILINE) and "±" in out


def test_ways_of_writing_a_variant_stand_beside_each_other(capsys, tmp_path: Path):
    rows = [f"{'ACGT' * n}A[C/{alt}]G{'CATG' * n},{n}" for n in range(1, 9) for alt in "GT"]
    (tmp_path / "dna.csv").write_text("\n".join(["sequence,y", *rows]) + "\n")
    text = (tmp_path / "configs/task/toy.yaml").read_text().replace("toy", "dna").replace("smiles", "sequence")
    (tmp_path / "configs/task/dna.yaml").write_text(text.replace("{sequence:sequence}", "{sequence:dna}"))
    words = ["task=dna", "model=debug", "debug=limit", "seed=1", "test=false", "output=swept"]
    assert main(["train", "-m", "sweep=variant_ablation", *words]) == 0
    ways = ["[in_place]", "[reference]", "[alternate]", "[random_site]", "[in_place,reverse_complement]"]
    jobs = table("swept")
    assert [job["task.views.sequence"] for job in jobs] == ways and all(job["valid/loss"] for job in jobs)
    assert len({job["valid/loss"] for job in jobs}) > 1, "they do not read the same"
    assert all(way in capsys.readouterr().out for way in ways[:1])


def test_records_of_an_earlier_sweep_do_not_stand_in_the_table(capsys):
    Path("swept/7").mkdir(parents=True)
    Path("swept/7/job.json").write_text(json.dumps({"number": 7, "overrides": [], "status": "failed"}))
    assert main(["train", "-m", *QUICK, "seed=3", "test=false", "output=swept"]) == 0
    assert [job["job"] for job in table("swept")] == ["0"]


def test_a_sweep_is_not_taken_up_with_other_settings(capsys):
    words = ["train", "-m", *QUICK, "test=false", "output=swept"]
    assert main([*words, "seed=1"]) == 0
    weights = Path("swept", "0", "bundle", "model.safetensors")
    written = weights.stat().st_mtime_ns
    assert main([*words, "seed=1", "resume=auto"]) == 0
    assert "done before" in capsys.readouterr().err
    assert main([*words, "seed=2", "resume=auto"]) == 2
    assert "contains job 0 of another sweep" in capsys.readouterr().err
    assert weights.stat().st_mtime_ns == written and table("swept")[0]["seed"] == "1"


def test_a_sweep_that_cannot_begin_runs_nothing(capsys):
    assert main(["train", "-m", *QUICK, "model=debug,tinny", "output=swept"]) == 2
    assert "no model 'tinny'" in capsys.readouterr().err and not Path("swept/0").exists()


def test_an_interrupted_sweep_says_how_to_go_on(capsys, monkeypatch):
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mammal.training.run.train", stop)
    assert main(["train", "-m", *QUICK, "seed=1,2", "output=swept"]) == 130
    err = capsys.readouterr().err
    assert "output=swept resume=auto" in err and table("swept")[0]["status"] == "running"


@pytest.mark.parametrize(
    ("words", "what", "hint"),
    [
        (["task=toy,toy"], "task=toy,toy has more than one value", "mammal train -m"),
        (["-m", "--cfg", "seed=1,2"], "--cfg shows one run", "leave out -m"),
        (["sweep=sedes"], "no sweep 'sedes'", "seeds"),
        (["launcher=slrum"], "no launcher 'slrum'", "slurm"),
        (["experiment=davs"], "no experiment 'davs'", "davis"),
        (["mixture=eigth"], "no mixture 'eigth'", "eight"),
    ],
)
def test_mistakes_in_a_sweep_are_reported(capsys, words, what, hint):
    assert main(["train", *words]) == 2
    err = capsys.readouterr().err
    assert what in err and hint in err and len(err.strip().splitlines()) == 2


def test_a_search_knows_which_way_is_better():
    assert direction("valid/loss") == direction("valid/esol/rmse") == "minimize"
    assert direction("valid/bbbp/auroc") == direction("valid/tox21/auroc/NR-AR") == "maximize"
    for wrong, what in (
        ("test/bbbp/auroc", "must not influence what is chosen"),
        ("auroc", "valid/TASK/METRIC"),
        ("valid/bbbp/aurok", "auroc"),
    ):
        with pytest.raises(MammalError, match=what):
            direction(wrong)


@needs("hydra_optuna_sweeper", "search")
def test_a_search_by_optuna_leaves_out_trials_that_fail(capsys, monkeypatch):
    from mammal.training import run

    train = run.train

    def frail(config):
        if config.optim.lr > 1e-3:
            raise RuntimeError("too bold")
        return train(config)

    monkeypatch.setattr(run, "train", frail)
    words = ["hydra.sweeper.n_trials=3", "optim.lr=choice(0.0002,0.0004,0.1)", "model.dropout_rate=0", "output=swept"]
    code = main(["train", "-m", *QUICK, "sweep=optuna", "monitor=valid/toy/pearson", *words])
    err = capsys.readouterr().err
    jobs = table("swept")
    assert len(jobs) == 3 and "best: optim.lr=0.000" in err
    assert code == int(any(job["status"] == "failed" for job in jobs))
    done = [job for job in jobs if job["status"] == "done"]
    assert all(job["objective"] == job["valid/toy/pearson"] and "test/toy/pearson" not in job for job in done)


@needs("hydra_submitit_launcher", "launchers")
def test_slurm_is_asked_for_what_the_config_says(monkeypatch, tmp_path):
    import submitit

    monkeypatch.setattr("shutil.which", lambda name, *_: f"/usr/bin/{name}")
    words = ["launcher=slurm", "hydra.launcher.partition=gpu", "task=toy"]
    config = compose("train", parse_arguments("train", words), keep_hydra=True)
    settings = {key: config.hydra.launcher[key] for key in config.hydra.launcher if key != "submitit_folder"}
    general = {"timeout_min", "mem_gb", "nodes", "cpus_per_task", "gpus_per_node", "tasks_per_node", "name"}
    executor = submitit.AutoExecutor(cluster="slurm", folder=tmp_path)
    kept = {name: settings[name] for name in general - {"name"}}
    executor.update_parameters(**kept, slurm_partition=settings["partition"])
    sheet = executor._executor._make_submission_file_text("python job.py", "0")
    for line in ("--time=720", "--gpus-per-node=1", "--cpus-per-task=8", "--mem=64GB", "--partition=gpu"):
        assert line in sheet
    assert config.resume == "auto" and config.hydra.launcher.max_num_timeout == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher",
    [
        pytest.param("joblib", marks=needs("hydra_joblib_launcher", "launchers")),
        pytest.param("submitit", marks=needs("hydra_submitit_launcher", "launchers")),
        pytest.param("ray", marks=needs("hydra_ray_launcher", "ray-launcher")),
    ],
)
def test_a_launcher_runs_every_job(launcher):
    done = swept_by(f"launcher={launcher}")
    assert done.returncode == 0, done.stderr
    jobs = table("swept")
    assert [job["status"] for job in jobs] == ["done", "done"]
    assert jobs[0]["valid/loss"] != jobs[1]["valid/loss"]
    assert sorted(path.parent.name for path in Path("swept").glob("*/bundle")) == ["0", "1"]


def commands() -> list[list[str]]:
    """The words of every `mammal train` of the page."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    return [line[line.index("train") + 1 :] for line in words if line[:2] == ["mammal", "train"]]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_commands_of_the_page_compose(words):
    """Every key and name exists; of the values of a sweep the first is taken, and of a search its config."""
    single = [re.sub(r"=([^=,({\[']+),.*", r"=\1", word) for word in words if word != "-m" and "interval(" not in word]
    missing = {"joblib": "hydra_joblib_launcher", "submitit": "hydra_submitit_launcher"}
    missing |= {"slurm": "hydra_submitit_launcher", "ray": "hydra_ray_launcher", "optuna": "hydra_optuna_sweeper"}
    for word in single:
        plugin = missing.get(word.partition("=")[2])
        if plugin and not installed(plugin):
            pytest.skip(f"{word} needs {plugin}")
    assert compose("train", parse_arguments("train", single)).name
