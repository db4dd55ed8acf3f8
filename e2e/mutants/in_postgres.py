"""Mutants of what several replicas need: PostgreSQL's locks, conflicts, news, and the order of publishing.

Each is tried by two replicas on a real server, the last one by deliveries to a real broker.
"""

from functools import partial

from e2e.mutants.in_engine import LOOP, NOTIFICATION
from e2e.mutants.mutant import Edit, Mutant

POSTGRES = "services/engine/postgres.py"
SESSION = "services/engine/postgres_session.py"
KAFKA = "services/engine/kafka.py"

_replicas = partial(Mutant, tried="replicas")
_OWN_ORDER = Edit(
    POSTGRES,
    "        rows, ids = self._ask(_LOAD.call(entities=entities), _SEEN.call(ids=message_ids))\n",
    "        mine = sorted(entities, key=lambda entity: hash((entity, id(self._session))))\n"
    "        rows = [row for entity in mine for row in self._ask(_LOAD.call(entities=[entity]))[0]]\n"
    "        (ids,) = self._ask(_SEEN.call(ids=message_ids))\n",
)
_TRANSIENT = "    except (psycopg.OperationalError,"
"""What is no conflict is taken for a fault that passes, and tried again: so that has to be left out too."""
_CONFLICTS = "(errors.UniqueViolation, errors.DeadlockDetected, errors.SerializationFailure)"
_ONLY_MINE = Edit(
    LOOP,
    "        events = self._store.unpublished(keys, BATCH_MAX)\n",
    "        mine = vars(self).get('mine', set())\n"
    "        events = [e for e in self._store.unpublished(keys, BATCH_MAX) if e.message_id in mine]\n",
)
_NOTE_MINE = Edit(
    LOOP,
    '        self._acknowledged = []\n        self._lap("commit")\n',
    "        self._acknowledged = []\n"
    "        vars(self).setdefault('mine', set()).update(e.message_id for e in batch.changes.events)\n"
    '        self._lap("commit")\n',
)

MUTANTS = (
    _replicas("Each replica locks rows in an order of its own", "no-deadlock", [_OWN_ORDER]),
    _replicas(
        "Rows that are read are not locked", "read-models", [Edit(POSTGRES, ".with_for_update()\n)\n_INS", "\n)\n_INS")]
    ),
    _replicas(
        "A row that another replica makes meanwhile is written over",
        "read-models",
        [Edit(POSTGRES, "_INSERT_STATES = Insert(ENTITIES)", "_INSERT_STATES = Insert(ENTITIES, upsert=True)")],
    ),
    _replicas(
        "A unique key that is taken (23505) is not tried again",
        "runs-on",
        [Edit(SESSION, _CONFLICTS, "(errors.DeadlockDetected, errors.SerializationFailure)")],
    ),
    _replicas(
        "A deadlock (40P01) is not tried again",
        "runs-on",
        [
            _OWN_ORDER,
            Edit(SESSION, _CONFLICTS, "(errors.UniqueViolation, errors.SerializationFailure)"),
            Edit(SESSION, _TRANSIENT, f"    except errors.DeadlockDetected:\n        raise\n{_TRANSIENT}"),
        ],
    ),
    _replicas(
        "A failed serialisation (40001) is not tried again",
        "runs-on",
        [
            Edit(POSTGRES, '"read committed"', '"repeatable read"'),
            Edit(SESSION, _CONFLICTS, "(errors.UniqueViolation, errors.DeadlockDetected)"),
            Edit(SESSION, _TRANSIENT, f"    except errors.SerializationFailure:\n        raise\n{_TRANSIENT}"),
        ],
    ),
    _replicas(
        "After a conflict nothing is tried again",
        "runs-on",
        [
            Edit(LOOP, "for attempt in range(1, CONFLICTS_MAX + 1):", "for attempt in range(1, 2):"),
            Edit(
                LOOP,
                "            return [self._insist(lambda: self._attempt([message], [], timers_max=0))]\n        except",
                "            raise ConflictError\n        except",
            ),
        ],
    ),
    _replicas(
        "The inbox is not read again after a conflict",
        "dead-letters",
        [
            Edit(
                LOOP,
                "            seen, rows = transaction.read(inbox_ids, keys)\n",
                "            known = vars(self).setdefault('known', {})\n"
                "            seen, rows = transaction.read(inbox_ids, keys)\n"
                "            seen = {i for i in inbox_ids if known.setdefault(i, i in seen)}\n",
            ),
            Edit(
                NOTIFICATION,
                "    if command.about in states.get(Told, order_id).texts:\n        return []\n",
                "",
            ),
        ],
    ),
    _replicas(
        "What a transaction has changed is told to nobody",
        "heard",
        [
            Edit(
                POSTGRES,
                "                self._waiting.append(_NOTIFY.call(payload=payload))\n",
                "                del payload\n",
            )
        ],
    ),
    _replicas(
        "PostgreSQL gives rows of a key from the highest down",
        "published",
        [Edit(POSTGRES, ".order_by(EVENTS.c.seq + 0)", ".order_by((EVENTS.c.seq + 0).desc())")],
    ),
    _replicas("A replica sends only what it has stored itself", "published", [_ONLY_MINE, _NOTE_MINE]),
    _replicas(
        "Rows are marked before they are sent",
        "published",
        [
            Edit(
                LOOP,
                '        armed = self._faults.is_armed("amid-publish")\n',
                "        self._store.mark_published([e.seq for e in events], self._now_us())\n"
                '        armed = self._faults.is_armed("amid-publish")\n',
            )
        ],
    ),
    Mutant(
        "After a failed delivery the producer is not purged",
        "published",
        [
            Edit(
                KAFKA,
                "        self._producer.purge()\n        self._producer.flush(FLUSH_SLICE_S)\n        if",
                "        self._producer.flush(FLUSH_SLICE_S)\n        if",
            )
        ],
        tried="deliveries",
    ),
)
