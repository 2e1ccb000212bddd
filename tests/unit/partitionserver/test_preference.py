"""Which server a partition falls to."""

import time
from collections import Counter

import pytest

from graphbed.clients.partitions import PartitionClient, preference
from graphbed.errors import InputError, ServerUnreachable
from graphbed.graph.partition import Partition
from graphbed.storage.receipt import Receipt

ADDRESSES = [f"host{number}:7102" for number in range(5)]
PARTITIONS = [Partition(entity_type, index) for entity_type in ("a", "b") for index in range(500)]


def test_every_client_prefers_the_same_servers_in_whatever_order_it_was_told_of_them() -> None:
    for partition in PARTITIONS[:20]:
        order = preference(ADDRESSES, partition)
        assert sorted(order) == ADDRESSES
        assert preference(ADDRESSES[::-1], partition) == order


def test_partitions_spread_evenly() -> None:
    loads = Counter(preference(ADDRESSES, partition)[0] for partition in PARTITIONS)
    assert len(loads) == 5
    assert all(150 <= load <= 250 for load in loads.values()), loads


def test_when_a_server_goes_only_its_own_partitions_move_to_their_second_choice() -> None:
    gone = ADDRESSES[2]
    rest = [address for address in ADDRESSES if address != gone]
    for partition in PARTITIONS:
        order = preference(ADDRESSES, partition)
        assert preference(rest, partition)[0] == (order[1] if order[0] == gone else order[0])


def test_the_choice_is_the_same_in_every_release() -> None:
    # A change would make every cache of a running cluster cold; it must be meant.
    assert [preference(ADDRESSES, Partition("e", index))[0] for index in range(4)] == [
        "host1:7102",
        "host0:7102",
        "host3:7102",
        "host3:7102",
    ]


def test_a_client_needs_a_server() -> None:
    with pytest.raises(InputError):
        PartitionClient([])


def test_when_no_server_answers_the_preferred_one_is_named() -> None:
    addresses = ["127.0.0.1:9", "127.0.0.1:11"]
    partition = Partition("e", 0)
    client = PartitionClient(addresses)
    began = time.monotonic()
    with pytest.raises(ServerUnreachable) as unreachable:
        client.fetch("j", partition, Receipt(key="k", size=1, sha256="0" * 64))
    client.close()
    assert unreachable.value.facts["address"] == preference(addresses, partition)[0]
    assert time.monotonic() - began < 20
