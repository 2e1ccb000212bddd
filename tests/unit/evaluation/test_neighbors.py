"""Nearest entities and completions, against all pairs computed one by one."""

import numpy as np
import pytest

from graphbed.config.choices import Comparator, Operator
from graphbed.errors import InputError
from graphbed.evaluation.names import EntityNames
from graphbed.evaluation.neighbors import completions, nearest
from graphbed.evaluation.scoring import TrainedModel
from tests.unit.evaluation.models import random_model

COUNTS = {"user": [4, 3, 5], "item": [5, 2, 1]}


def model(comparator: Comparator = Comparator.DOT, *, reciprocal: bool = True) -> TrainedModel:
    return random_model(Operator.DIAGONAL, comparator, reciprocal=reciprocal, counts=COUNTS, seed=3)


def rows(trained: TrainedModel, kind: str) -> np.ndarray:
    return np.concatenate(trained.tables[kind])


def test_nearest_entities_are_ordered_by_cosine_whatever_the_comparator():
    trained = model(Comparator.DOT)
    table = rows(trained, "user").astype(np.float64)
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    cosines = (unit @ unit[2]).round(9)
    expected = [i for i in np.argsort(-cosines, kind="stable") if i != 2][:5]
    found = nearest(trained, "user", 2, 5)
    assert [entity for entity, _ in found] == expected
    assert [score for _, score in found] == pytest.approx(cosines[expected], abs=1e-6)


def test_an_entity_is_not_its_own_neighbor_even_if_it_has_a_twin():
    twin = len(rows(model(), "user")) - 1
    found = nearest(model(), "user", 0, 3)
    assert found[0] == (twin, pytest.approx(1.0)) and 0 not in [entity for entity, _ in found]


def test_more_neighbors_than_entities_gives_all_others():
    assert len(nearest(model(), "item", 0, 100)) == 7


@pytest.mark.parametrize("reciprocal", [False, True])
def test_completions_are_ordered_by_the_trained_score(reciprocal: bool):
    trained = model(reciprocal=reciprocal)
    users, items = rows(trained, "user"), rows(trained, "item")
    rhs = trained.parameters["relations/0/rhs/values"][1]
    scores = (users[4] * rhs) @ items.T
    assert [entity for entity, _ in completions(trained, 1, "rhs", 4, 4)] == np.argsort(-scores)[:4].tolist()
    lhs = trained.parameters["relations/0/lhs/values"][1] if reciprocal else rhs
    scores = (items[5] * lhs) @ users.T
    found = completions(trained, 1, "lhs", 5, 4)
    assert [entity for entity, _ in found] == np.argsort(-scores, kind="stable")[:4].tolist()
    assert [score for _, score in found] == pytest.approx(np.sort(scores)[::-1][:4], abs=1e-6)


def test_nan_is_the_last_neighbor():
    trained = model()
    trained.tables["item"][0][1] = float("nan")
    found = nearest(trained, "item", 0, 7)
    assert found[-1][0] == 1 and np.isnan(found[-1][1])


def test_an_entity_is_found_by_name_through_all_partitions():
    names = EntityNames(by_type={"user": ["a", "b"], "item": ["b", "c"]})
    assert names.find("c") == ("item", 1)
    assert names.find("b", "user") == ("user", 1)


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("b", None, "an entity of the types user and item"),
        ("d", None, "no entity 'd'"),
        ("a", "item", "no entity 'a' of the type item"),
        ("a", "shop", "no entity type shop"),
    ],
)
def test_an_entity_that_is_not_clear_is_refused(name: str, kind: str | None, message: str):
    with pytest.raises(InputError, match=message):
        EntityNames(by_type={"user": ["a", "b"], "item": ["b", "c"]}).find(name, kind)
