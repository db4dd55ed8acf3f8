"""Which partition of its topic a key's records go to: always the same one, and for orders of one moment the same.

An order's id is a UUIDv7 and so tells when it was placed. Orders of the same 64 ms share a partition, and the next ones
take the next. So what a service decides in one batch goes to one or two partitions and not to all: Kafka's clients send
a request for each partition, and a request costs the broker and its readers as much as dozens of records.

Neighbours in time are in different halves of the partitions, as replicas are given ranges of them. Where there are more
than SLICES partitions, a moment has several, and a hash tells which of them is a key's.
"""

from zlib import crc32

SLICE_BITS = 6
"""2 to this power milliseconds: longer than one batch gathers under load, and short enough for replicas to share."""
SLICES = 6
"""Partitions, or groups of them, that take turns."""


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key, which is an order's id or any other text, in a topic with so many."""
    if len(key) != 36 or key[14] != "7":
        return crc32(key.encode()) % partitions
    try:
        moment = int(key[:8] + key[9:13], 16) >> SLICE_BITS
    except ValueError:
        return crc32(key.encode()) % partitions
    turns = min(SLICES, partitions)
    turn = moment % turns
    place = turn // 2 + (turn % 2) * ((turns + 1) // 2)
    first, end = place * partitions // turns, (place + 1) * partitions // turns
    return first + crc32(key.encode()) % (end - first)
