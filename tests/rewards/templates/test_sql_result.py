"""sql_result: rows are what counts; queries only read, and end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.rewards.templates.conftest import Answer

Score = Callable[..., float]
SETUP = "CREATE TABLE staff(name, pay REAL); INSERT INTO staff VALUES ('Ada', 60), ('Bo', 40), ('Cy', 70), ('Di', 60);"
WELL_PAID = {"setup": SETUP, "query": "SELECT name FROM staff WHERE pay > 50"}
ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"


@pytest.mark.parametrize(
    "text",
    [
        "SELECT name FROM staff WHERE pay > 50",
        "First\n```sql\nSELECT 1\n```\nbetter:\n```sql\n-- all\nselect name as who from staff where pay >= 60.0;\n```",
        "SELECT name FROM staff WHERE pay > 50 ORDER BY name DESC",
        "WITH rich AS (SELECT * FROM staff WHERE pay > 50) SELECT name FROM rich",
    ],
)
def test_any_query_with_the_right_rows_earns_all(score: Score, text: str) -> None:
    assert score("sql_result", WELL_PAID, text) == 1
    assert score("sql_result", {"setup": SETUP, "rows": [["Ada"], ["Cy"], ["Di"]]}, text) == 1
    assert score("sql_result", WELL_PAID["query"], text, setup=SETUP) == 1


def test_other_rows_earn_less_the_fewer_are_right(score: Score) -> None:
    ladder = ["SELECT pay FROM staff", "SELECT name FROM staff WHERE pay < 50 OR pay > 65", "SELECT name FROM staff"]
    scores = [score("sql_result", WELL_PAID, query) for query in ladder]
    assert scores == sorted(set(scores))
    assert 0 < scores[0] < scores[-1] < 1
    repeated = "SELECT name FROM staff WHERE pay > 50 UNION ALL SELECT name FROM staff WHERE pay > 50"
    assert score("sql_result", WELL_PAID, repeated) < 1


def test_order_counts_only_when_asked(score: Score) -> None:
    ordered = {"setup": SETUP, "query": "SELECT name FROM staff ORDER BY pay, name DESC", "ordered": True}
    assert score("sql_result", ordered, "SELECT name FROM staff ORDER BY pay, name DESC") == 1
    assert score("sql_result", ordered, "SELECT name FROM staff ORDER BY name") < 1
    assert score("sql_result", {**ordered, "ordered": False}, "SELECT name FROM staff ORDER BY name") == 1


@pytest.mark.parametrize(
    "text",
    [
        "", "no query", "SELECT nam FROM staff", "DELETE FROM staff", "PRAGMA table_info(staff)",
        "SELECT 1; DROP TABLE staff", "WITH x AS (SELECT 1) DELETE FROM staff", "SELECT load_extension('x')",
        "SELECT zeroblob(900000000)", f"{ENDLESS} SELECT x FROM c", f"{ENDLESS} SELECT count(*) FROM c",
        f"{ENDLESS} SELECT randomblob(99000) FROM c ORDER BY 1", "SELECT 'a\0b'", "SELECT '\ud800'",
        "VALUES " + "(" * 5000,
    ],
)  # fmt: skip
def test_what_fails_writes_or_never_ends_earns_nothing(score: Score, text: str) -> None:
    assert score("sql_result", WELL_PAID, text) == 0


def test_no_file_is_made_or_read(answer: Answer, score: Score, tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    assert "setup fails" in answer("sql_result", {"setup": f"ATTACH '{file}' AS x", "rows": []}, "SELECT 1")["error"]
    assert score("sql_result", WELL_PAID, f"ATTACH '{file}' AS x") == 0
    assert score("sql_result", WELL_PAID, f"SELECT writefile('{file}', 'x')") == 0
    assert not file.exists()


def test_a_row_whose_own_query_fails_is_an_error_and_no_zero(answer: Answer) -> None:
    nowhere = {"setup": "", "query": "SELECT * FROM nowhere"}
    for reference in ({"setup": "CREATE", "query": "SELECT 1"}, nowhere, {"rows": []}):
        entry = answer("sql_result", reference, "SELECT 1")
        assert entry.get("error")
        assert "aggregate_reward_score" not in entry
