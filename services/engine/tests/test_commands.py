"""Commands of RPCs: put together, decided in any order, answered together, refused where the mailbox is full."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf.wrappers_pb2 import Int32Value

from services.engine.mailbox import COMMANDS_MAX, Mailbox, MailboxFull
from services.engine.memory import MemoryStore
from services.engine.messages import Message
from services.engine.participant import Refusal, Reply
from services.engine.rpc import Asked, Commands, Decided

WITHIN_S = 20.0


def asked(count: int) -> list[Asked]:
    return [Asked(Int32Value(value=n), f"id-{n}", "") for n in range(count)]


def decided_by(handle: Callable[[Sequence[Message]], Any], mailbox: Mailbox, many: Sequence[Asked]) -> list[Decided]:
    """What was decided of these, by a loop that gives what it takes to `handle`."""

    def take() -> None:
        taken: list[Message] = []
        while len(taken) < min(len(many), COMMANDS_MAX):
            taken += mailbox.take(COMMANDS_MAX, WITHIN_S)[1]
        handle(taken)

    async def decide() -> list[Decided]:
        loop = threading.Thread(target=take)
        loop.start()
        return await asyncio.wait_for(Commands(mailbox, MemoryStore()).decide_all(many), WITHIN_S)

    return asyncio.run(decide())


def answer(message: Message) -> None:
    assert message.answer is not None
    value: int = message.command.value
    message.answer(Refusal(3, "odd") if value % 2 else Reply(message.command))


def test_each_of_many_gets_its_own_answer_in_whatever_order_they_are_decided() -> None:
    def backwards(taken: Sequence[Message]) -> None:
        for message in reversed(taken):
            answer(message)

    found = decided_by(backwards, Mailbox(), asked(5))
    assert found == [Refusal(3, "odd") if n % 2 else Reply(Int32Value(value=n)) for n in range(5)]


def test_those_for_which_there_is_no_room_are_told_so_and_the_others_are_decided() -> None:
    def all_of_them(taken: Sequence[Message]) -> None:
        for message in taken:
            answer(message)

    found = decided_by(all_of_them, Mailbox(), asked(COMMANDS_MAX + 2))
    assert [type(each) for each in found[-3:]] == [Refusal, MailboxFull, MailboxFull]


def test_where_nothing_is_asked_nothing_is_waited_for() -> None:
    assert asyncio.run(Commands(Mailbox(), MemoryStore()).decide_all([])) == []


def test_an_answer_that_comes_when_its_caller_has_given_up_harms_nobody() -> None:
    mailbox = Mailbox()
    commands = Commands(mailbox, MemoryStore())

    async def give_up_and_ask_again() -> Decided:
        first = asyncio.create_task(commands.decide(Int32Value(value=1), "id-1", ""))
        await asyncio.sleep(0)
        first.cancel()
        second = asyncio.create_task(commands.decide(Int32Value(value=2), "id-2", ""))
        await asyncio.sleep(0)
        for message in mailbox.take(10, WITHIN_S)[1]:
            answer(message)
        return await asyncio.wait_for(second, WITHIN_S)

    assert asyncio.run(give_up_and_ask_again()) == Reply(Int32Value(value=2))
