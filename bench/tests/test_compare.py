"""When a shop has recovered from a kill, by when orders were due and ended; and how that is shown."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from bench.compare import Compared, Fault, Plan, Side, Step, open_orders, recovered_after
from bench.compared import conditions, markdown, table
from bench.machine import Machine
from bench.results import Check
from bench.tests.phases import phase

STEADY = [(second / 10, second / 10 + 0.15) for second in range(300)]
"""Ten orders a second that take 150 ms each: never more than two are open."""


def held_up(at: float, until: float) -> list[tuple[float, float]]:
    """The same, but what was due in between ends at the end of it."""
    return [(due, until if at <= due < until else ended) for due, ended in STEADY]


def test_open_orders_are_those_that_were_due_and_have_not_ended() -> None:
    assert open_orders([(1.0, 3.0), (2.0, 4.0)]) == [Step(1.0, 1), Step(2.0, 2), Step(3.0, 1), Step(4.0, 0)]


@pytest.mark.parametrize(
    ("orders", "until", "recovered_s"),
    [
        (STEADY, 20.0, 0.0),
        (held_up(10.0, 12.5), 20.0, 2.5),
        (held_up(10.0, 12.5), 12.0, None),
        (held_up(5.0, 8.0), 20.0, 0.0),
        ([], 20.0, 0.0),
    ],
    ids=["nobody noticed", "held up", "the next kill came first", "held up before", "no load"],
)
def test_a_shop_has_recovered_when_no_more_orders_are_open_than_before(
    orders: list[tuple[float, float]], until: float, recovered_s: float | None
) -> None:
    found = recovered_after(open_orders(orders), 10.0, until)
    assert found == (None if recovered_s is None else pytest.approx(recovered_s, abs=0.1))


def side(mode: str, faults: list[Fault]) -> Side:
    check = Check(accepted=9, completed=8, cancelled={"TIMED_OUT": 1}, unanswered=0, repeated_records=0, wrong=[])
    calm = phase("closed", messages=26, transactions=1)
    return Side(mode=mode, undisturbed=calm, disturbed=calm, records=12, faults=faults, check=check)


def test_the_table_has_a_column_for_each_mode_and_a_line_for_each_kill() -> None:
    machine = Machine(2, "a CPU", 1, "Linux", "3.11", "4.3", {}, "abc", 0.5)
    sides = [
        side("choreographed", [Fault("kafka", 1.0, 5.0, 6.25)]),
        side("orchestrated", [Fault("kafka", 1.0, 5.0, None), Fault("orchestrator", 9.0, 0.5, 0.75)]),
    ]
    found = Compared(at=0.0, machine=machine, plan=Plan(), sides=sides)

    for made in (markdown(found), table(found)):
        file = io.StringIO()
        Console(file=file, width=200).print(made)
        lines = file.getvalue().splitlines()
        for name, *figures in (
            ("records on the topics, an order", "12.0", "12.0"),
            ("kill of kafka: recovered / ready after, s", "6.2 / 5.0", "not in time / 5.0"),
            ("kill of orchestrator: recovered / ready after, s", "-", "0.8 / 0.5"),
            ("accepted, completed, cancelled", "9, 8, 1", "9, 8, 1"),
        ):
            (line,) = [line for line in lines if name in line]
            assert line.replace("|", "").replace(name, "").split() == " ".join(figures).split()
    assert "40 orders a second" in conditions(found)
