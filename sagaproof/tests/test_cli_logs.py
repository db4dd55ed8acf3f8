"""Logs of many processes as one story."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from sagaproof.errors import CommandError
from sagaproof.logs import Line, Wanted, files, follow, read

EVERYTHING = Wanted()


def said(second: int, message: str, service: str = "order", level: str = "INFO", **more: object) -> str:
    """A line as the services write it."""
    time = f"2026-01-01T10:00:{second:02}.000000Z"
    return json.dumps({"time": time, "level": level, "service": service, "message": message, **more}) + "\n"


def messages(lines: Sequence[Line]) -> list[str]:
    return [line.message for line in lines]


def test_files_are_merged_by_time(tmp_path: Path) -> None:
    (tmp_path / "order.log").write_text(said(1, "one") + said(3, "three"))
    (tmp_path / "payment.log").write_text(said(2, "two", "payment") + said(4, "four", "payment"))
    assert messages(read(files(tmp_path, []), EVERYTHING, 0)) == ["one", "two", "three", "four"]


def test_only_the_last_lines_are_given(tmp_path: Path) -> None:
    (tmp_path / "order.log").write_text("".join(said(second, str(second)) for second in range(10)))
    assert messages(read(files(tmp_path, []), EVERYTHING, 3)) == ["7", "8", "9"]


def test_only_the_services_that_were_named_are_read(tmp_path: Path) -> None:
    (tmp_path / "order.log").write_text(said(1, "mine"))
    (tmp_path / "payment.log").write_text(said(2, "not mine"))
    assert messages(read(files(tmp_path, ["order"]), EVERYTHING, 0)) == ["mine"]
    with pytest.raises(CommandError, match="there is one of order, payment"):
        files(tmp_path, ["warehouse"])


def test_an_order_is_found_wherever_it_is_named(tmp_path: Path) -> None:
    lines = said(1, "handled", order_id="o-1") + said(2, "handled", order_id="o-2") + said(3, "no charge/o-1")
    (tmp_path / "order.log").write_text(lines)
    assert messages(read(files(tmp_path, []), Wanted(order="o-1"), 0)) == ["handled", "no charge/o-1"]


def test_a_batch_is_shown_as_a_line_for_each_message(tmp_path: Path) -> None:
    batch = said(1, "handled", handled={"OrderCreated": ["o-1", "o-2"], "StockReplenished": [""]})
    (tmp_path / "order.log").write_text(batch)
    lines = read(files(tmp_path, []), EVERYTHING, 0)
    assert [line.extra for line in lines] == [
        {"type": "OrderCreated", "key": "o-1"},
        {"type": "OrderCreated", "key": "o-2"},
        {"type": "StockReplenished"},
    ]
    [mine] = read(files(tmp_path, []), Wanted(order="o-2"), 0)
    assert json.loads(mine.raw) == json.loads(said(1, "handled", type="OrderCreated", key="o-2"))


def test_a_level_is_that_and_above(tmp_path: Path) -> None:
    lines = said(1, "a", level="DEBUG") + said(2, "b", level="WARNING") + said(3, "c", level="ERROR")
    (tmp_path / "order.log").write_text(lines)
    assert messages(read(files(tmp_path, []), Wanted(level="WARNING"), 0)) == ["b", "c"]


def test_kafkas_lines_are_understood_and_a_stack_trace_stays_with_its_line(tmp_path: Path) -> None:
    text = "2026-01-01 10:00:05,250 WARN no leader (Broker)\njava.lang.Error: away\n\tat Broker.run\n"
    (tmp_path / "kafka.log").write_text(text)
    lines = read(files(tmp_path, []), Wanted(level="WARNING"), 0)
    assert messages(lines) == ["no leader (Broker)", "java.lang.Error: away", "at Broker.run"]
    assert {line.level for line in lines} == {"WARNING"}
    assert len({line.time for line in lines}) == 1
    assert lines[0].time.microsecond == 250_000


@pytest.mark.parametrize("text", ["{", "{}", '{"time": 5}', '{"time": "soon", "message": 1}', "\x00\xff", "[]"])
def test_a_line_of_any_shape_is_shown_as_it_is(text: str, tmp_path: Path) -> None:
    (tmp_path / "order.log").write_text(said(1, "before") + text + "\n")
    assert messages(read(files(tmp_path, []), EVERYTHING, 0)) == ["before", text]


def test_following_sees_new_lines_new_files_and_a_log_that_was_emptied(tmp_path: Path) -> None:
    log, stop = tmp_path / "order.log", False
    log.write_text(said(1, "old") + said(2, "older line that is long enough to be noticed when it is gone"))
    story = follow(lambda: files(tmp_path, []), EVERYTHING, 1, stopped=lambda: stop)
    assert next(story).message.startswith("older line")
    with log.open("a") as file:
        file.write(said(3, "half a line")[:20])
        file.flush()
        (tmp_path / "payment.log").write_text(said(4, "a new file"))
        assert next(story).message == "a new file"
        file.write(said(3, "half a line")[20:])
    assert next(story).message == "half a line"
    log.write_text(said(5, "emptied"))
    assert next(story).message == "emptied"
    stop = True
    assert list(story) == []
