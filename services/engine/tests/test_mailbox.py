"""The mailbox: bounded, in order, woken when there is something to do."""

import threading

import pytest

from services.engine.mailbox import COMMANDS_MAX, HURRY_FROM, RECORDS_MAX, Mailbox, MailboxFull
from services.engine.messages import Message, Record
from services.engine.tests.toy import Add, Answers, rpc, said

LONG_S = 20.0
"""Longer than any wait that ends by itself: a test that needs it fails."""


def command(n: int) -> Message:
    return rpc(Add("a", 1), f"id-{n}", Answers())


def test_what_was_put_is_taken_in_order_up_to_a_limit_of_each() -> None:
    mailbox = Mailbox()
    records = [said("a add", offset=n) for n in range(3)]
    commands = [command(n) for n in range(3)]
    mailbox.put_records(records)
    for each in commands:
        mailbox.put_command(each)
    assert mailbox.take(2, LONG_S) == (records[:2], commands[:2])
    assert mailbox.take(2, LONG_S) == (records[2:], commands[2:])


def test_an_empty_mailbox_gives_nothing_after_the_timeout() -> None:
    assert Mailbox().take(10, 0.0) == ([], [])
    assert Mailbox().take(10, 0.01) == ([], [])


@pytest.mark.parametrize("what", ["record", "command", "wake"])
def test_whoever_waits_is_woken(what: str) -> None:
    mailbox = Mailbox()
    taken: list[tuple[int, int]] = []

    def take() -> None:
        records, commands = mailbox.take(10, LONG_S)
        taken.append((len(records), len(commands)))

    waiting = threading.Thread(target=take)
    waiting.start()
    if what == "record":
        mailbox.put_records([said("a add")])
    elif what == "command":
        mailbox.put_command(command(0))
    else:
        mailbox.wake()
    waiting.join(LONG_S / 2)
    assert taken == [(what == "record", what == "command")]


def test_a_wake_counts_once() -> None:
    mailbox = Mailbox()
    mailbox.wake()
    assert mailbox.take(10, LONG_S) == ([], [])
    assert mailbox.take(10, 0.0) == ([], [])


def test_while_held_records_stay_and_commands_go_on() -> None:
    mailbox = Mailbox()
    mailbox.put_records([said("a add")])
    mailbox.hold(held=True)
    assert mailbox.held
    waiting = command(0)
    mailbox.put_command(waiting)
    assert mailbox.take(10, LONG_S) == ([], [waiting])
    assert not mailbox.wait_for_room(0.0)
    mailbox.hold(held=False)
    assert mailbox.wait_for_room(0.0)
    assert mailbox.take(10, LONG_S) == ([said("a add")], [])


def test_what_is_not_urgent_waits_for_what_is() -> None:
    mailbox = Mailbox()
    later, urgent = said("a add", offset=1), said("b add", offset=2)
    mailbox.put_records([later], urgent=False)
    taken: list[tuple[list[Record], list[Message]]] = []
    waiting = threading.Thread(target=lambda: taken.append(mailbox.take(10, LONG_S)))
    waiting.start()
    mailbox.put_records([urgent])
    waiting.join(LONG_S / 2)
    assert taken == [([later, urgent], [])]


def test_what_is_not_urgent_goes_with_a_command_and_at_the_end_of_a_wait() -> None:
    mailbox = Mailbox()
    mailbox.put_records([said("a add")], urgent=False)
    assert mailbox.take(10, 0.01) == ([said("a add")], [])
    mailbox.put_records([said("a add")], urgent=False)
    asked = command(0)
    mailbox.put_command(asked)
    assert mailbox.take(10, LONG_S) == ([said("a add")], [asked])
    mailbox.put_records([], urgent=True)
    assert mailbox.take(10, 0.0) == ([], [])


def test_what_is_not_urgent_is_taken_once_it_makes_a_batch() -> None:
    mailbox = Mailbox()
    mailbox.put_records([said("a add")] * HURRY_FROM, urgent=False)
    assert len(mailbox.take(HURRY_FROM, LONG_S)[0]) == HURRY_FROM


def test_what_was_urgent_and_is_left_by_a_limit_is_taken_at_once() -> None:
    mailbox = Mailbox()
    mailbox.put_records([said("a add", offset=n) for n in range(3)])
    assert len(mailbox.take(2, LONG_S)[0]) == 2
    assert len(mailbox.take(2, LONG_S)[0]) == 1


def test_of_commands_that_come_together_those_are_put_for_which_there_is_room() -> None:
    mailbox = Mailbox()
    assert mailbox.put_commands([command(n) for n in range(COMMANDS_MAX - 1)]) == COMMANDS_MAX - 1
    assert mailbox.put_commands([command(1), command(2)]) == 1
    assert mailbox.put_commands([command(3)]) == 0
    assert mailbox.put_commands([]) == 0


def test_there_is_room_until_there_are_too_many_records() -> None:
    mailbox = Mailbox()
    mailbox.put_records([said("a add")] * (RECORDS_MAX - 1))
    assert mailbox.wait_for_room(0.0)
    mailbox.put_records([said("a add")])
    assert not mailbox.wait_for_room(0.0)
    mailbox.take(1, LONG_S)
    assert mailbox.wait_for_room(0.0)


def test_too_many_commands_are_refused_and_not_kept() -> None:
    mailbox = Mailbox()
    for n in range(COMMANDS_MAX):
        mailbox.put_command(command(n))
    with pytest.raises(MailboxFull):
        mailbox.put_command(command(COMMANDS_MAX))
    mailbox.take(1, LONG_S)
    mailbox.put_command(command(COMMANDS_MAX))
