"""The mailbox: bounded, in order, woken when there is something to do."""

import threading

import pytest

from services.engine.mailbox import COMMANDS_MAX, RECORDS_MAX, Mailbox, MailboxFull
from services.engine.messages import Message
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
