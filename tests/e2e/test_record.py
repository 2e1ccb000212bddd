import json
import subprocess
from pathlib import Path

import pytest

from tests.e2e import record


@pytest.fixture
def root(tmp_path):
    """A repository with files that containers are made of, one that they are not, and a record of a run."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    for name in ("services/one/server.py", "deploy/redis/redis.conf", "Dockerfile", "docs/page.md"):
        _write(tmp_path / name, name)
    _write(tmp_path / ".gitignore", "*.whl\n")
    record.write({"digest": record.digest(tmp_path), "mrr": 0.319}, "the log\n", tmp_path)
    return tmp_path


def test_a_record_of_the_files_that_are_here_is_good(root):
    assert record.complaint(root) is None
    assert json.loads((root / record.FOLDER / "result.json").read_text())["mrr"] == 0.319
    assert (root / record.FOLDER / "log.txt").read_text() == "the log\n"


@pytest.mark.parametrize("name", ["services/one/server.py", "deploy/new/file.conf", "Dockerfile", "docker-compose.yml"])
def test_a_changed_or_new_file_makes_the_record_old(root, name):
    _write(root / name, "changed")
    assert "run `make e2e`" in record.complaint(root)


def test_a_file_that_is_gone_makes_the_record_old(root):
    (root / "services/one/server.py").unlink()
    assert "run `make e2e`" in record.complaint(root)


@pytest.mark.parametrize("name", ["docs/page.md", "deploy/offline/wheels/one.whl"])
def test_other_files_and_those_that_git_ignores_do_not(root, name):
    _write(root / name, "changed")
    assert record.complaint(root) is None


def test_committing_changes_nothing(root):
    before = record.digest(root)
    subprocess.run(["git", "add", "--all"], cwd=root, check=True)
    assert record.digest(root) == before


def test_without_a_record_the_complaint_says_what_to_do(root):
    (root / record.FOLDER / "result.json").unlink()
    assert "run `make e2e`" in record.complaint(root)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
