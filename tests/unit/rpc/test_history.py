"""History lines: one a write, one file a process, nothing when it is off."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from graphbed import history
from graphbed.errors import InputError, LeaseLost

ENDLESS = """
import sys
from graphbed import history
history.configure(sys.argv[1], "tester")
for number in range(10**9):
    history.record("counted", number=number)
    if number == 1000:
        print("counting", flush=True)
"""


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for path in folder.iterdir() for line in path.read_text().splitlines()]


def test_an_operation_is_told_when_it_begins_and_how_it_ends(tmp_path: Path):
    history.configure(str(tmp_path), "tester")
    try:
        with history.operation("store", key="a") as told:
            assert [line["event"] for line in lines(tmp_path)] == ["store"]
            told["size"] = 3
        with pytest.raises(LeaseLost), history.operation("commit", lease="b"):
            raise LeaseLost(lease="b")
    finally:
        history.configure(None, "tester")
    began, ended, tried, failed = lines(tmp_path)
    assert (began["key"], ended["event"], ended["size"], ended["op"]) == ("a", "store ended", 3, began["op"])
    assert (failed["event"], failed["error"], failed["op"]) == ("commit ended", "LeaseLost", tried["op"])
    assert began["at"] <= ended["at"] <= failed["at"]


def test_nothing_is_written_when_history_is_off(tmp_path: Path):
    assert not history.is_on()
    history.record("counted", number=1)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_leaves_whole_lines_without_a_gap(tmp_path: Path):
    process = subprocess.Popen([sys.executable, "-c", ENDLESS, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.wait()
    process.stdout.close()
    numbers = [line["number"] for line in lines(tmp_path)]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > 1000


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file"):
        history.configure(str(tmp_path / "file" / "below"), "tester")
