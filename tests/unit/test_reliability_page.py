"""The page on reliability names each fault once, and only tests that exist."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "reliability.md"
NAMED = re.compile(r"`((?:\w+/)*test_\w+\.py|…)(?:::(\w+))?`")


def test_every_fault_has_one_row_and_every_test_that_is_named_exists() -> None:
    rows = re.findall(r"^\| F(\d+) \|(.*)$", PAGE.read_text(), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 33))
    file = ""
    for number, row in rows:
        for path, name in NAMED.findall(row):
            file = file if path == "…" else path
            text = (TESTS / file).read_text()
            assert not name or f"def {name}(" in text, f"F{number}: {file} has no {name}"
