"""Batch jobs under faults: damaged shards, a changed input, dying workers, SIGTERM, limits of errors, parts."""

from __future__ import annotations

import errno
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mammal import cli
from mammal.errors import ConfigError, JobError
from mammal.jobs import JobPlan, JobReport, engine, run_job, run_plan
from mammal.jobs.background import InOrder, read_ahead
from mammal.jobs.error_limit import ErrorLimit, TooManyErrorsError
from mammal.jobs.inputs import open_input
from mammal.jobs.parts import Part
from mammal.jobs.store import Store
from mammal.rows.answer_columns import AnswerColumn, Record
from mammal.rows.batched import Refused, Row
from mammal.rows.question import Computed
from mammal.rows.read_columns import ReadColumns
from mammal.rows.worker_pool import WorkerPool

ROWS, SHARD = 47, 5


class Lengths(Computed):
    """The length of a text; an empty one has none. `hook` is called before each shard with its rows."""

    def __init__(self, hook: Callable[[Sequence[Row]], object] = lambda rows: None) -> None:
        self.reading = ReadColumns(("text",))
        self.columns = [AnswerColumn("length", "integer")]
        self.seen: list[str] = []
        self._hook = hook

    def answers(self, rows: Sequence[Row]) -> list[list[Record] | Refused]:
        self._hook(rows)
        self.seen += [row["text"] for row in rows]
        return [[(len(row["text"]),)] if row["text"] else Refused("empty") for row in rows]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Every sixth row has no text."""
    texts = ["" if i % 6 == 2 else f"text {i}" for i in range(ROWS)]
    pd.DataFrame({"id": range(ROWS), "text": texts}).to_csv(tmp_path / "in.csv", index=False)
    return tmp_path / "in.csv"


BAD = sum(i % 6 == 2 for i in range(ROWS))


def run(table: Path, output: Path, question: Computed | None = None, **how: Any) -> JobReport:
    given = open_input(table)
    return run_plan(JobPlan("lengths", given, question or Lengths(), output, shard_rows=SHARD), **how)


def files(output: Path) -> dict[str, bytes]:
    names = [output, output.with_name(f"{output.stem}.errors{output.suffix}")]
    return {path.suffixes[-2:][0]: path.read_bytes() for path in names}


def stopped(output: Path, table: Path, after: int) -> None:
    """Begins a job that is interrupted after so many shards."""
    count = 0

    def hook(rows: Sequence[Row]) -> None:
        nonlocal count
        count += 1
        if count > after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(table, output, Lengths(hook))


# Shards that are not what their marker says


@pytest.mark.parametrize("suffix", [".csv", ".errors.parquet"])
@pytest.mark.parametrize("damage", [lambda part: part.write_bytes(part.read_bytes()[:-3]), Path.unlink])
def test_a_damaged_shard_is_answered_again(
    table: Path, tmp_path: Path, suffix: str, damage: Callable[[Path], object]
) -> None:
    run(table, tmp_path / "straight.csv")
    cut = tmp_path / "cut.csv"
    stopped(cut, table, 4)
    damage(Path(f"{cut}.parts") / f"000001{suffix}")
    question = Lengths()
    report = run(table, cut, question)
    assert report.resumed == 3 * SHARD and len(question.seen) == ROWS - 3 * SHARD
    assert files(cut) == files(tmp_path / "straight.csv")


@pytest.mark.parametrize("marker", ["", "{", "[]", '{"rows": 5}', '{"rows": 5, "ok": 5, "bad": 0, "other": 1}'])
def test_a_damaged_marker_is_an_unfinished_shard(table: Path, tmp_path: Path, marker: str) -> None:
    run(table, tmp_path / "straight.csv")
    cut = tmp_path / "cut.csv"
    stopped(cut, table, 2)
    (Path(f"{cut}.parts") / "000000.json").write_text(marker)
    assert run(table, cut).resumed == SHARD
    assert files(cut) == files(tmp_path / "straight.csv")


def test_a_shard_of_an_earlier_version_without_sizes_is_finished(table: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.csv"
    stopped(cut, table, 2)
    marker = Path(f"{cut}.parts") / "000000.json"
    counts = json.loads(marker.read_text())
    assert counts.pop("sizes")[".csv"] == (Path(f"{cut}.parts") / "000000.csv").stat().st_size
    marker.write_text(json.dumps(counts))
    assert run(table, cut).resumed == 2 * SHARD


def test_a_finished_shard_is_not_answered_again(table: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.csv"
    stopped(cut, table, 3)
    question = Lengths()
    run(table, cut, question)
    assert question.seen == pd.read_csv(table, keep_default_na=False).text.tolist()[3 * SHARD :]


# The disk and the input


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_fails_in_the_background_is_reported(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    write = Store.write

    def failing(self: Store, shard: int, *rest: Any) -> None:
        if shard == 3:
            raise OSError(error, os.strerror(error), "somewhere")
        write(self, shard, *rest)

    with monkeypatch.context() as patch, pytest.raises(JobError, match=os.strerror(error)) as raised:
        patch.setattr(Store, "write", failing)
        run(table, tmp_path / "out.csv")
    assert "run the same command again" in str(raised.value.hint)
    assert not (tmp_path / "out.csv").exists()
    assert run(table, tmp_path / "out.csv").resumed == 3 * SHARD


def test_a_full_disk_while_shards_are_joined_keeps_them(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mammal.jobs.tables import Delimited

    def failing(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, pytest.raises(JobError, match="No space left"):
        patch.setattr(Delimited, "join", failing)
        run(table, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()
    assert run(table, tmp_path / "out.csv").resumed == ROWS


def test_an_input_that_changes_meanwhile_ends_the_job(table: Path, tmp_path: Path) -> None:
    before = table.read_text()

    def change(rows: Sequence[Row]) -> None:
        if rows[0]["text"] == "text 10":
            table.write_text(before.replace("text 12", "text 99"))

    with pytest.raises(JobError, match="the input was changed"):
        run(table, tmp_path / "out.csv", Lengths(change))
    assert len(list((tmp_path / "out.csv.parts").glob("0*.json"))) == 2, "those read before the change"
    with pytest.raises(JobError, match="the input has another content"):
        run(table, tmp_path / "out.csv")
    table.write_text(before)
    assert run(table, tmp_path / "out.csv").resumed == 2 * SHARD


# Errors


def test_a_job_ends_at_a_number_of_errors_and_continues(table: Path, tmp_path: Path) -> None:
    with pytest.raises(TooManyErrorsError, match="3 of 15 rows have no answer, and max_errors is 2") as raised:
        run(table, tmp_path / "out.csv", max_errors=2)
    assert raised.value.exit_code == 4 and not (tmp_path / "out.csv").exists()
    assert len(list((tmp_path / "out.csv.parts").glob("0*.json"))) == 3
    report = run(table, tmp_path / "out.csv", max_errors=BAD)
    assert (report.resumed, report.bad) == (15, BAD)


def test_a_share_of_errors(table: Path, tmp_path: Path) -> None:
    with pytest.raises(TooManyErrorsError, match=r"1 of 5 rows have no answer, and max_errors is 0\.1 of the rows"):
        run(table, tmp_path / "out.csv", max_errors=0.1)
    assert run(table, tmp_path / "out.csv", max_errors=0.5).bad == BAD


@pytest.mark.parametrize("value", [-1, 1.5, "many", True, float("nan")])
def test_limits_that_can_not_be(value: Any) -> None:
    with pytest.raises(ConfigError, match="max_errors"):
        ErrorLimit.parse(value)


def test_none_may_fail(table: Path, tmp_path: Path) -> None:
    with pytest.raises(TooManyErrorsError, match="1 of 5"):
        run(table, tmp_path / "out.csv", max_errors=0)


# Parts


def test_parts_in_any_order_give_the_bytes_of_one_run(table: Path, tmp_path: Path) -> None:
    run(table, tmp_path / "straight.csv")
    output, seen = tmp_path / "out.csv", []
    for number in (3, 1, 4, 2):
        assert not output.exists(), "no output until all parts are done"
        question = Lengths()
        report = run(table, output, question, part=f"{number}/4")
        assert report.rows == len(question.seen) and report.part == f"{number}/4"
        assert report.complete == (number == 2) == output.exists()
        seen += question.seen
    assert sorted(seen) == sorted(pd.read_csv(table, keep_default_na=False).text)
    assert files(output) == files(tmp_path / "straight.csv")
    assert not Path(f"{output}.parts").exists()
    assert run(table, output, part="1/4").resumed == ROWS, "nothing is left to do"


def test_parts_at_the_same_time(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(table, tmp_path / "straight.csv")
    output, barrier = tmp_path / "out.csv", threading.Barrier(3)

    def part(number: int) -> JobReport:
        first = iter([barrier.wait])
        return run(table, output, Lengths(lambda rows: next(first, int)()), part=f"{number}/3")

    with ThreadPoolExecutor(3) as pool:
        reports = list(pool.map(part, (1, 2, 3)))
    assert sum(report.rows for report in reports) == ROWS
    assert any(report.complete for report in reports)
    assert files(output) == files(tmp_path / "straight.csv")


def test_a_part_that_is_running_and_a_whole_run_exclude_each_other(table: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    with Store(output).locked(Part(1, 2)):
        with pytest.raises(JobError, match=r"another run is writing this output$"):
            run(table, output)
        with pytest.raises(JobError, match="with the same part"):
            run(table, output, part="1/2")
        assert not run(table, output, part="2/2").complete
    with Store(output).locked(), pytest.raises(JobError, match="another run"):
        run(table, output, part="1/2")
    assert run(table, output).resumed == sum(min(SHARD, ROWS - s * SHARD) for s in range(10) if s % 2)


def test_shards_are_not_joined_while_a_part_is_running(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "PATIENCE", 0.0)
    output = tmp_path / "out.csv"
    run(table, output, part="1/2")
    with Store(output).locked(Part(2, 3)):
        report = run(table, output, part="2/2")
        assert not report.complete and not output.exists()
    assert run(table, output, part="2/2").complete


def test_a_part_does_not_start_again_for_all(table: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="resume=false"):
        run(table, tmp_path / "out.csv", part="1/2", resume=False)


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/2/3", -1])
def test_parts_that_can_not_be(text: Any) -> None:
    with pytest.raises(ConfigError, match="part") as raised:
        Part.parse(text)
    assert "part=3/8" in str(raised.value.hint)


@pytest.mark.parametrize("total", [0, 1, 7, 40, 41])
@pytest.mark.parametrize("of", [1, 2, 3, 7])
def test_rows_of_parts_add_up(total: int, of: int) -> None:
    shards = [min(4, total - start) for start in range(0, total, 4)]
    for number in range(1, of + 1):
        part = Part(number, of)
        assert part.rows(total, 4) == sum(rows for shard, rows in enumerate(shards) if part.owns(shard))


# Memory


def test_molecules_are_forgotten_after_each_shard(tiny_bundle: Path, tmp_path: Path) -> None:
    from mammal.tasks.molecules.chemistry import _remembered

    pd.DataFrame({"smiles": ["C" * (1 + i) for i in range(40)]}).to_csv(tmp_path / "in.csv", index=False)
    sizes: list[int] = []

    def look(now: engine.JobProgress) -> None:
        sizes.append(_remembered.cache_info().currsize)

    how: dict[str, Any] = {"task": "bbbp", "shard_rows": 10}
    run_job("predict", tiny_bundle, tmp_path / "in.csv", tmp_path / "out.csv", progress=look, **how)
    assert max(sizes) <= 10 and sizes[-1] == 0


# Processes and threads


def test_sigterm_ends_the_command_with_143_and_keeps_shards(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mammal.commands.rows import follow_job

    def end(rows: Sequence[Row]) -> None:
        if rows[0]["text"] == "text 15":
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as raised:
        follow_job("lengths", lambda progress: run(table, tmp_path / "out.csv", Lengths(end), progress=progress))
    assert raised.value.code == cli.TERMINATED == 143
    assert signal.getsignal(signal.SIGTERM) is before
    assert "finished shards are kept" in capsys.readouterr().err
    assert run(table, tmp_path / "out.csv").resumed == 3 * SHARD


def test_a_worker_that_is_killed_is_replaced(tiny_bundle: Path, table: Path, tmp_path: Path) -> None:
    lines = pd.DataFrame({"smiles": ["C" * (1 + i % 40) for i in range(200)], "id": range(200)})
    lines.to_csv(table, index=False)
    killed: list[int] = []

    def kill_one(_: object) -> None:
        import multiprocessing

        for child in multiprocessing.active_children() if not killed else []:
            killed.append(child.pid or 0)
            os.kill(child.pid or 0, signal.SIGKILL)

    how: dict[str, Any] = {"task": "bbbp", "shard_rows": 20}
    straight = run_job("predict", tiny_bundle, table, tmp_path / "straight.csv", **how)
    report = run_job("predict", tiny_bundle, table, tmp_path / "out.csv", workers=1, progress=kill_one, **how)
    assert killed and report.output.read_bytes() == straight.output.read_bytes()


def test_rows_that_kill_each_worker_are_reported() -> None:
    pool = WorkerPool(1)
    with pytest.raises(JobError, match="3 worker processes died with the same rows") as raised:
        pool.submit(os._exit, 3).result(60)
    assert "workers=0" in str(raised.value.hint)
    assert pool.submit(len, "abc").result(60) == 3, "the next task has a new process"
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 1, 0).result(60)
    pool.close()


def test_a_pool_that_is_closed_drops_its_tasks_at_once() -> None:
    pool = WorkerPool(1)
    waiting = [pool.submit(time.sleep, 60) for _ in range(3)]
    begun = time.monotonic()
    pool.close(wait=False)
    assert time.monotonic() - begun < 30
    assert all(future.cancelled() or future.exception() is not None for future in waiting)


def test_items_are_read_ahead_in_order_and_errors_arrive() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for i in range(4):
            made.append(i)
            yield i
        raise ValueError("broken file")

    got = []
    with pytest.raises(ValueError, match="broken file"):
        for item in read_ahead(items()):
            got.append(item)
    assert got == made == [0, 1, 2, 3]


def test_tasks_in_the_background_are_done_before_the_block_ends() -> None:
    done: list[int] = []
    with pytest.raises(KeyboardInterrupt), InOrder() as thread:
        for i in range(3):
            thread.submit(lambda i=i: done.append(i))  # type: ignore[misc]
        raise KeyboardInterrupt
    assert done == [0, 1, 2]


# Rows of any content


def test_rows_of_equal_values_are_computed_once_per_shard(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mammal.rows.batched import TaskEncoder

    encoded: list[int] = []
    encode = TaskEncoder.encode

    def counting(self: TaskEncoder, rows: Sequence[Row], row_ids: Sequence[int]) -> Any:
        encoded.append(len(rows))
        return encode(self, rows, row_ids)

    monkeypatch.setattr(TaskEncoder, "encode", counting)
    rows = pd.DataFrame({"id": range(30), "smiles": ["CCO", "CCN", "CCO"] * 10})
    rows.to_csv(tmp_path / "in.csv", index=False)
    report = run_job("predict", tiny_bundle, tmp_path / "in.csv", tmp_path / "out.csv", task="bbbp", shard_rows=10)
    assert encoded == [2, 2, 2] and report.ok == 30
    made = pd.read_csv(report.output)
    assert made[made.smiles == "CCO"].probability.nunique() == 1
