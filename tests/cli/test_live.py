"""The live display on a terminal and in a log."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tuneward.cli.live import BLOCKS, SPARK_WIDTH, LiveDisplay, plain_line, sparkline

TIMING = {
    "seconds_rollout": 8.0,
    "seconds_reward": 0.3,
    "seconds_update": 4.0,
    "seconds_step": 12.3,
    "eta_s": 230.0,
    "eta_low_s": 180.0,
    "eta_high_s": 300.0,
}


def step_record(step: int, reward: float, **numbers: object) -> dict:
    return {
        "kind": "step",
        "step": step,
        "reward_mean": reward,
        "exact": 0.12,
        "entropy": 0.91,
        "completion_length_mean": 31.0,
        "timing": TIMING,
    } | numbers


def evaluation_record(step: int, reward: float) -> dict:
    return {"kind": "evaluation", "step": step, "reward_mean": reward, "exact": 0.1, "timing": {"seconds": 4.0}}


WARNING = {
    "kind": "warning",
    "step": 2,
    "code": "truncated",
    "severity": "warning",
    "message": "[bold]30%[/] cut\nRaise.",
}
EVENT = {"kind": "event", "step": 2, "code": "new_best", "message": "best so far"}
RUN = [evaluation_record(0, 0.3), step_record(1, 0.35), step_record(2, 0.41), WARNING, EVENT, evaluation_record(2, 0.4)]


def shown(records: list[dict], *, terminal: bool, width: int = 80) -> str:
    console = Console(
        file=io.StringIO(), force_terminal=terminal, width=width, height=40, color_system=None, record=True, _environ={}
    )
    display = LiveDisplay(console, total_steps=20, title="night [x] · smollm2-135m")
    for record in records:
        display.write(record)
    display.close()
    display.close()
    return console.file.getvalue()


def last_picture(output: str) -> str:
    return output[output.rindex("night [x]") :]


def test_step_line_of_a_log():
    line = plain_line(step_record(3, 0.412), 20).plain
    assert line == "step 3/20  reward 0.412  exact 12%  entropy 0.91  len 31  12.3 s  ETA 3–5 min"


def test_log_has_one_plain_line_per_record_even_when_narrow():
    output = shown([*RUN, {"kind": "preflight", "step": 0, "mixed_groups_share": 0.5}], terminal=False, width=20)
    lines = output.splitlines()
    assert len(lines) == len(RUN) + 1
    assert "\x1b" not in output
    assert lines[0] == "validation after step 0  reward 0.300  exact 10%  4.0 s"
    assert lines[3] == "warning at step 2: truncated: [bold]30%[/] cut Raise."
    assert lines[-1] == "before training  groups with signal 50%"


def test_terminal_shows_progress_numbers_curves_and_notices():
    picture = last_picture(shown([*RUN, step_record(3, 0.41)], terminal=True))
    for expected in ("step 3/20", "ETA 3–5 min", "0.350", "0.410", "0.300", "0.400", "sampling 8.0 s", "update 4.0 s"):
        assert expected in picture, expected
    assert "[bold]30%[/] cut Raise." in picture
    assert "new best: best so far" in picture
    assert BLOCKS[-1] in picture
    assert "[bold]0" not in picture


@pytest.mark.parametrize("terminal", [True, False])
def test_bare_records_are_bearable(terminal):
    output = shown(
        [{"kind": "step", "step": 1}, {"kind": "evaluation", "step": 1}, {"kind": "event"}], terminal=terminal
    )
    assert "1/20" in output


def test_records_after_closing_do_not_reopen_the_picture():
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    display = LiveDisplay(console, 5, "night")
    display.write(step_record(1, 0.1))
    display.close()
    before = console.file.getvalue()
    display.write(step_record(2, 0.1))
    assert console.file.getvalue() == before


def test_cursor_comes_back():
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    display = LiveDisplay(console, 5, "night")
    display.write(step_record(1, 0.1))
    display.close()
    output = console.file.getvalue()
    assert output.rindex("\x1b[?25h") > output.rindex("\x1b[?25l")


def test_recalled_records_count_from_the_first_step():
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    display = LiveDisplay(console, 20, "night [x]")
    display.recall([evaluation_record(0, 0.25), step_record(1, 0.111)])
    assert console.file.getvalue() == ""
    display.write(step_record(2, 0.2))
    display.close()
    assert "0.111" in last_picture(console.file.getvalue())


def test_sparkline_spans_its_range_and_width():
    assert sparkline([]) == ""
    assert sparkline([0.5, 0.5]) == BLOCKS[0] * 2
    assert sparkline([0.0, 0.5, 1.0]) == BLOCKS[0] + BLOCKS[4] + BLOCKS[-1]
    long = sparkline([step / 1000 for step in range(1000)])
    assert len(long) == SPARK_WIDTH
    assert (long[0], long[-1]) == (BLOCKS[0], BLOCKS[-1])
    assert len(sparkline([1.0, 2.0] * 25, width=49)) == 49


def test_parts_of_a_composition_and_the_held_out_score_are_shown_by_readable_names():
    parts = {"metric/is_[b]short": 0.25, "metric/math": 0.5, "metric/math/steps_right": 2.0, "held_out": 0.125}
    picture = last_picture(shown([evaluation_record(0, 0.3) | parts, step_record(1, 0.35) | parts], terminal=True))
    for line in ("held-out reward", "is [b]short", "math ", "math: steps right"):
        assert line in picture
    assert "0.250" in picture
    assert plain_line(step_record(3, 0.4, held_out=0.125), 20).plain.count("held-out 0.125") == 1


def test_so_many_metrics_do_not_fill_the_screen():
    many = {f"metric/a_rather_long_name_of_number_{n:02}": 1.0 for n in range(40)}
    picture = last_picture(shown([step_record(1, 0.35) | many], terminal=True))
    assert picture.count("a rather long name") == 6
    assert max(map(len, picture.splitlines())) <= 80
