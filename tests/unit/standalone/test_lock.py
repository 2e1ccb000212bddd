from pathlib import Path

import pytest

from graphbed.errors import InputError
from services.standalone.lock import FolderLock


def test_a_second_cluster_on_one_folder_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    with FolderLock(tmp_path), pytest.raises(InputError, match="another `graphbed train`"), FolderLock(tmp_path):
        pass
    with FolderLock(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file"), FolderLock(tmp_path / "file" / "state"):
        pass
