"""The space of a tuning: what is drawn from it, and what is refused."""

from pathlib import Path

import pytest

from graphbed.config.load import load_job
from graphbed.errors import BadConfig, InputError
from graphbed.tuning.space import DEFAULT_SPACE, Space, load_space, with_setting
from tests.fixtures.trained import write_job


def test_a_small_space_of_lists_is_tried_whole() -> None:
    space = Space.model_validate({"lr": [0.1, 0.2], "dimension": [4, 8, 16]})
    settings = space.draw(6, seed=0)
    assert len(settings) == 6 and len({tuple(setting.values()) for setting in settings}) == 6


def test_a_large_space_is_sampled_and_the_seed_decides_how() -> None:
    settings = DEFAULT_SPACE.draw(20, seed=3)
    assert settings == DEFAULT_SPACE.draw(20, seed=3) != DEFAULT_SPACE.draw(20, seed=4)
    assert all(0.02 <= float(setting["lr"]) <= 0.5 for setting in settings)
    below = sum(float(setting["lr"]) < 0.1 for setting in DEFAULT_SPACE.draw(400, seed=1))
    assert 150 < below < 250, "0.1 is the middle of 0.02 to 0.5 by logarithm"


def test_a_range_of_whole_numbers_gives_each_setting_once() -> None:
    space = Space.model_validate({"num_uniform_negs": {"min": 10, "max": 13, "integer": True}})
    values = [setting["num_uniform_negs"] for setting in space.draw(50, seed=0)]
    assert sorted(values) == [10, 11, 12, 13]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lrr: [1]", "lrr is not a key that can be tuned"),
        ("store: [a, b]", "store is not a key that can be tuned"),
        ("lr: {min: 2, max: 1}", "min 2.0 must be below max 1.0"),
        ("lr: {min: 0, max: 1, scale: log}", "min must be above 0"),
        ("{}", "it names no key"),
        ("lr: []", "at least 1 item"),
        ("lr: [", "is not YAML"),
    ],
)
def test_a_space_that_makes_no_sense_is_refused_with_its_file(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(text)
    with pytest.raises(BadConfig, match=said) as refused:
        load_space(path)
    assert str(path) in str(refused.value)


def test_a_space_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"space\.yaml cannot be read"):
        load_space(tmp_path / "space.yaml")


def test_a_setting_that_makes_no_valid_job_is_refused_by_its_values(tmp_path: Path) -> None:
    config = load_job(write_job(tmp_path))
    assert with_setting(config, {"dimension": 8}).dimension == 8
    with pytest.raises(BadConfig, match="the trial dimension=7 cannot be run: dimension: 7 is odd"):
        with_setting(config, {"dimension": 7})
