"""Environment variables are read with one clear complaint."""

from pathlib import Path

import pytest

from graphbed.errors import InputError
from graphbed.rpc import environment


def test_empty_means_default():
    assert environment.read({"GRAPHBED_X": " "}, "GRAPHBED_X", "here") == "here"
    assert environment.read({"GRAPHBED_X": "there"}, "GRAPHBED_X", "here") == "there"
    assert environment.optional({"GRAPHBED_X": ""}, "GRAPHBED_X") is None


def test_what_is_required_is_asked_for_by_name():
    with pytest.raises(InputError, match="GRAPHBED_STORE"):
        environment.required({}, "GRAPHBED_STORE")


@pytest.mark.parametrize("text", ["x", "0", "-1", "1.5"])
def test_a_number_that_is_none_is_shown(text: str):
    with pytest.raises(InputError, match=f"GRAPHBED_X is '{text}'"):
        environment.read_int({"GRAPHBED_X": text}, "GRAPHBED_X", 3)
    assert environment.read_int({}, "GRAPHBED_X", 3) == 3


@pytest.mark.parametrize("text", ["x", "-1", "nan", "inf"])
def test_seconds_that_are_none_are_shown(text: str):
    with pytest.raises(InputError, match=f"GRAPHBED_X is '{text}'"):
        environment.read_seconds({"GRAPHBED_X": text}, "GRAPHBED_X", 3)
    assert environment.read_seconds({"GRAPHBED_X": "0.5"}, "GRAPHBED_X", 3) == 0.5


def test_a_secret_comes_from_the_variable_or_from_a_file(tmp_path: Path):
    file = tmp_path / "secret"
    file.write_text("hunter2\n")
    assert environment.secret({"GRAPHBED_KEY": "hunter2"}, "GRAPHBED_KEY") == "hunter2"
    assert environment.secret({"GRAPHBED_KEY_FILE": str(file)}, "GRAPHBED_KEY") == "hunter2"
    assert environment.secret({}, "GRAPHBED_KEY") is None


def test_a_secret_given_twice_or_unreadable_is_refused_without_showing_it(tmp_path: Path):
    with pytest.raises(InputError, match="set one") as caught:
        environment.secret({"GRAPHBED_KEY": "hunter2", "GRAPHBED_KEY_FILE": "/f"}, "GRAPHBED_KEY")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(InputError, match="GRAPHBED_KEY_FILE"):
        environment.secret({"GRAPHBED_KEY_FILE": str(tmp_path / "none")}, "GRAPHBED_KEY")
