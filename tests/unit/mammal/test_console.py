"""Console output: counts, durations, tables, the progress line."""

import pytest

from mammal import console


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0"), (950, "950"), (9_120, "9,120"), (12_345, "12.3k"), (3.4e6, "3.4M")]
)
def test_counts_are_short(count, text):
    assert console.human(count) == text


@pytest.mark.parametrize(("seconds", "text"), [(5, "0:05"), (65, "1:05"), (7_389, "2:03:09")])
def test_clock(seconds, text):
    assert console.clock(seconds) == text


def test_tables_are_aligned(capsys):
    console.table([("a", 1), ("long", 22)], ("name", "n"))
    assert capsys.readouterr().out.splitlines() == ["name  n", "a     1", "long  22"]


def test_without_a_terminal_progress_is_plain_lines(capsys, monkeypatch):
    monkeypatch.setattr(console, "PLAIN_LINE_SECONDS", 0.0)
    with console.Progress("predict", total=100, unit="rows") as progress:
        progress.advance(40, rows=40, tokens=400, status="2 set aside")
        assert progress.fraction() == 0.4
        progress.advance(60, rows=60, tokens=600)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and "\x1b" not in "".join(lines)
    assert lines[0].startswith("predict: 40/100 rows · ") and "tokens/s" in lines[0] and "2 set aside" in lines[0]
    assert lines[-1].startswith("predict: 100 rows") and "in 0:00" in lines[-1]


def test_plain_lines_are_rare(capsys):
    with console.Progress("predict", total=1_000) as progress:
        for _ in range(1_000):
            progress.advance()
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_time_left_leaves_out_what_an_earlier_run_did(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    progress = console.Progress("train", total=100, unit="steps")
    progress.skip(50)
    now[0] = 10.0
    progress.advance(10)
    assert "60/100 steps" in progress.facts() and "0:40 left" in progress.facts()


def test_a_time_limit_counts_where_it_ends_sooner(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    progress = console.Progress("train", total=1_000, unit="steps", seconds=60)
    now[0] = 15.0
    progress.advance(10)
    assert progress.fraction() == 0.25 and "0:45 left" in progress.facts()


def test_failed_work_has_no_summary(capsys):
    with pytest.raises(RuntimeError), console.Progress("predict") as progress:
        progress.advance()
        raise RuntimeError
    assert capsys.readouterr().err == ""
