"""Which partition a key goes to: one for each key, the same for orders of one moment, all of them in turn."""

from collections import Counter
from itertools import pairwise
from uuid import UUID

import pytest

from services.engine.partitions import SLICE_BITS, partition_of

NOW_MS = 0x0192F0C1AAAA & ~((1 << SLICE_BITS) - 1)
SLICE_MS = 1 << SLICE_BITS


def order_id(ms: int, rest: int = 0) -> str:
    """A UUIDv7 of this time."""
    return str(UUID(int=ms << 80 | 0x7 << 76 | 0b10 << 62 | rest))


def test_orders_of_one_moment_share_a_partition_and_those_of_the_next_have_another() -> None:
    moments = [{partition_of(order_id(NOW_MS + n * SLICE_MS + ms, ms), 6) for ms in range(SLICE_MS)} for n in range(6)]
    assert all(len(moment) == 1 for moment in moments)
    assert {each for moment in moments for each in moment} == set(range(6))


def test_neighbours_in_time_are_in_different_halves_as_replicas_have_ranges() -> None:
    halves = [partition_of(order_id(NOW_MS + n * SLICE_MS), 6) // 3 for n in range(13)]
    assert all(one != other for one, other in pairwise(halves))


@pytest.mark.parametrize("partitions", [1, 2, 3, 5, 6, 7, 12, 13, 128])
def test_every_partition_has_about_its_share_however_many_there_are(partitions: int) -> None:
    ids = [order_id(NOW_MS + n, n * 7919) for n in range(SLICE_MS * 6 * 50)]
    found = Counter(partition_of(each, partitions) for each in ids)
    assert sorted(found) == list(range(partitions))
    assert max(found.values()) < 1.5 * len(ids) / partitions


def test_where_a_key_goes_is_the_same_in_every_version_for_ever() -> None:
    assert partition_of("0192f0c1-aaaa-7bbb-8ccc-0123456789ab", 6) == 1
    assert partition_of("0192f0c1-aaaa-7bbb-8ccc-0123456789ab", 128) == 30
    assert partition_of("product-1", 6) == 1


@pytest.mark.parametrize(
    "key", ["", "product-1", "0192f0c1-aaaa-5bbb-8ccc-0123456789ab", "zzzzzzzz-aaaa-7bbb-8ccc-0123456789ab", "ä" * 36]
)
def test_a_key_that_tells_no_time_goes_where_its_hash_says(key: str) -> None:
    assert partition_of(key, 6) in range(6)
    assert partition_of(key, 1) == 0
