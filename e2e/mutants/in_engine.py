"""Mutants of the engine: how a batch is decided, stored, published and marked, and of timers and dead letters."""

from e2e.mutants.mutant import Edit, Mutant

LOOP = "services/engine/loop.py"
BATCH = "services/engine/batch.py"
IDS = "services/engine/ids.py"
MEMORY = "services/engine/memory.py"
MESSAGES = "services/engine/messages.py"
WORLD = "e2e/simulated/world.py"
"""There is what a service's runner does with offsets."""
NOTIFICATION = "services/notification/decider.py"

_NO_INBOX = Edit(BATCH, "            if message.id in self._seen:", "            if False:")
_NO_STATE = Edit(
    NOTIFICATION,
    "    if command.about in states.get(Told, order_id).texts:\n        return []\n",
    "",
)
_STRUCK = """\
            for point in ("after-commit", "amid-publish", "before-mark", "before-offset-commit"):
                self._faults.reach(point, {message.type for message in messages})
"""
"""A kill that would come later in the cycle comes here."""
_WRITE = "            transaction.write(batch.changes)\n            self._lap("

PUBLISHING = (
    Mutant(
        "A participant's offsets are committed before the transaction",
        "ends-once",
        [
            Edit(
                WORLD,
                "        self._running.cycle(records, commands)\n        self.group.done(records)\n",
                "        if not self.participant.keeps_log:\n"
                "            self.group.done(records)\n            self.group.commit()\n"
                "        self._running.cycle(records, commands)\n        self.group.done(records)\n",
            )
        ],
    ),
    Mutant(
        "Events are published before the commit",
        "published",
        [
            Edit(
                LOOP,
                _WRITE,
                "            new = [StoredEvent(0, *e, None) for e in batch.changes.events if e.topic is not None]\n"
                "            self._publisher.publish(new, None)\n" + _STRUCK + _WRITE,
            )
        ],
    ),
    Mutant(
        "A request is answered before the commit",
        "ends-once",
        [
            Edit(
                LOOP,
                _WRITE,
                "            for answer, result in batch.answers:\n                answer(result)\n"
                "            batch.answers.clear()\n" + _STRUCK + _WRITE,
            )
        ],
    ),
    Mutant(
        "Events are marked before they are acknowledged",
        "published",
        [
            Edit(
                LOOP,
                "            self._acknowledged = acknowledged\n",
                "            self._acknowledged = [e.seq for e in events]\n",
            )
        ],
    ),
    Mutant(
        "A failed delivery is not tried again",
        "published",
        [Edit(LOOP, "            self.mark()\n            raise error\n", "            self.mark()\n")],
    ),
    Mutant(
        "What an earlier life left is not published at the start",
        "published",
        [Edit(LOOP, "        self.publish(None, frozenset())\n        for command", "        for command")],
        histories=1000,  # a sweep nearly always comes to the rescue
    ),
    Mutant(
        "New events wait for a sweep",
        "published",
        [Edit(LOOP, "            self.publish(batch.to_publish, types)\n", "")],
    ),
    Mutant(
        "Rows of a key are sent from the highest down",
        "published",
        [Edit(MEMORY, "(seq for seq in tables.unpublished if", "(seq for seq in reversed(tables.unpublished) if")],
    ),
    Mutant(
        "Of a decision's events only the first one's key is published",
        "published",
        [
            Edit(
                BATCH,
                "        for event in events:\n            if event.topic is not None:\n",
                "        for event in events[:1]:\n            if event.topic is not None:\n",
            )
        ],
    ),
)

DECIDING = (
    Mutant(
        "A notification is doubled: no inbox, no look at the state, and ids from a place in the batch",
        "effects-once",
        [
            _NO_INBOX,
            _NO_STATE,
            Edit(BATCH, "version, len(events)))", "version, len(self.changes.events) + len(events)))"),
        ],
    ),
    Mutant(
        "The events of one of order's decisions have the same id",
        "dead-letters",
        [
            Edit(
                IDS,
                "{service}/{cause_id}/{command}/{index}",
                "{service}/{cause_id}/{command}/{0 if service == 'order' else index}",
            )
        ],
    ),
    Mutant(
        "Two services give the same id",
        "effects-once",
        [Edit(IDS, "{service}/{cause_id}/{command}/{index}", "{cause_id}/{command}/{index}")],
    ),
    Mutant(
        "A version is skipped at each event",
        "effects-once",
        [Edit(BATCH, "self._versions.get(entity, 0) + 1", "self._versions.get(entity, 0) + 2")],
    ),
    Mutant(
        "A message does not see what the one before it in the batch has changed",
        "stock",
        [Edit(BATCH, "        self._states.update(states)\n", "")],
    ),
    Mutant(
        "Of several changes of a state in a batch the first one is stored",
        "stock",
        [Edit(BATCH, "        self.states.update(states)\n", "        self.states = {**states, **self.states}\n")],
    ),
    Mutant(
        "Timers that are due displace the batch's messages",
        "ends-once",
        [
            Edit(
                LOOP,
                "messages = [*messages, *self._due(transaction, now_us, timers_max)]",
                "messages = self._due(transaction, now_us, timers_max) or messages",
            )
        ],
    ),
    Mutant(
        "A timer that has fired stays",
        "ends-once",
        [
            Edit(
                BATCH,
                "            changes.stopped.add((message.command.entity, message.command.name))\n",
                "            pass\n",
            )
        ],
    ),
    Mutant(
        "Poison drops what comes after it in a participant's batch",
        "ends-once",
        [
            Edit(
                LOOP,
                'f"Undecodable: {error}"))\n                continue\n',
                'f"Undecodable: {error}"))\n                if self._participant.keeps_log:\n'
                "                    continue\n                break\n",
            )
        ],
    ),
    Mutant(
        "Poison is skipped",
        "dead-letters",
        [Edit(LOOP, '                poison.append(Poison(record.place, record, f"Undecodable: {error}"))\n', "")],
    ),
    Mutant(
        "A dead letter is not written",
        "dead-letters",
        [
            Edit(
                BATCH,
                'self.changes.dead_letters.append((DeadLetter(letter_id, "open", cause, record, now_us), event))',
                "del event, now_us",
            )
        ],
    ),
    Mutant(
        "A type that is not known is a dead letter",
        "dead-letters",
        [
            Edit(
                MESSAGES,
                '_known_text("ce_type", record.headers.get("ce_type")) != TIMER_TYPE:\n        return None\n',
                '_known_text("ce_type", record.headers.get("ce_type")) != TIMER_TYPE:\n        raise Undecodable\n',
            )
        ],
    ),
)

MUTANTS = (*PUBLISHING, *DECIDING)
