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
        progress.advance(40, rows=40, tokens=400, status="2 without an answer")
        assert progress.fraction() == 0.4
        progress.advance(60, rows=60, tokens=600)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and "\x1b" not in "".join(lines)
    assert lines[0].startswith("predict: 40/100 rows · ") and "tokens/s" in lines[0]
    assert "2 without an answer" in lines[0]
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


def test_a_line_fits_into_eighty_columns(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(console, "PLAIN_LINE_SECONDS", 0.0)
    progress = console.Progress("properties", total=123_456_789)
    now[0] = 10_000.0
    progress.advance(23_456_789, rows=23_456_789, tokens=2_345_678_901, status="1,234,567 left out")
    (line,) = capsys.readouterr().err.splitlines()
    assert len(line) <= 80 and "23.5M/123.5M rows" in line and "1,234,567 left out" in line and line.endswith("left")
    facts = progress.facts(80 - len("properties") - console.BAR - 2)
    assert len("properties") + console.BAR + 2 + len(facts) <= 80 and facts.endswith("left")
    assert "123,456,789 rows" in progress.facts() and "tokens/s" in progress.facts()
    assert len(progress.facts(40)) <= 40 and "1,2…" in progress.facts(40)


@pytest.mark.parametrize("columns", [80, 60])
def test_a_line_on_a_terminal_is_one_line(columns, monkeypatch):
    """rich wraps a line that is too long, and then no longer replaces it."""
    from io import StringIO

    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    now, written = [0.0], Terminal()
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(console.sys, "stderr", written)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    with console.Progress("properties", total=123_456_789) as progress:
        now[0] = 10_000.0
        progress.advance(23_456_789, rows=23_456_789, tokens=2_345_678_901, status="1,234,567 without an answer")
        assert progress._rich is not None
        shown = [str(line) for line in progress._rich.console.render_lines(progress._rich.get_renderable())]
        text = "".join(segment.text for segment in progress._rich.console.render(progress._rich.get_renderable()))
    assert len(shown) == 1 and len(text.rstrip("\n").rstrip()) <= columns
    assert "23.5M/123.5M rows" in text and text.rstrip().endswith("left")


def test_a_total_that_was_too_small_is_not_shown():
    progress = console.Progress("predict", total=10)
    progress.advance(12)
    assert progress.facts().startswith("12 rows")


def test_rows_of_an_earlier_run_do_not_count_as_fast(monkeypatch):
    from mammal.commands.rows import _Follower
    from mammal.jobs import JobProgress

    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    progress = console.Progress("predict")
    follow = _Follower(progress)
    follow(JobProgress(900, 1_000, 0, 900))
    now[0] = 10.0
    follow(JobProgress(950, 1_000, 0, 900))
    assert progress.facts() == "950/1,000 rows · 5 rows/s · 0:10 left"
