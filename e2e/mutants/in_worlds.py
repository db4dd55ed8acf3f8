"""Mutants that are looked for in every world of one order: some of those that histories find, and the shortest way."""

from collections.abc import Mapping

from e2e.mutants import in_engine, in_undoing
from e2e.mutants.mutant import Mutant

_FOUND_BY: Mapping[str, str] = {
    "A participant's offsets are committed before the transaction": "ends-once",
    "Events are published before the commit": "money",
    "A request is answered before the commit": "ends-once",
    "What an earlier life left is not published at the start": "published",
    "A notification is doubled: no inbox, no look at the state, and ids from a place in the batch": "standing",
    "A message does not see what the one before it in the batch has changed": "effects-once",
    "A release of nothing leaves no tombstone": "ends-once",
    "Reserving does not heed the release's tombstone": "standing",
    "Charging does not heed the refund's tombstone": "standing",
}
"""Name of a mutant -> what finds it there."""

MUTANTS = tuple(
    Mutant(f"{mutant.name} (every world)", _FOUND_BY[mutant.name], mutant.edits, tried="worlds")
    for mutant in (*in_engine.MUTANTS, *in_undoing.MUTANTS)
    if mutant.name in _FOUND_BY
)
