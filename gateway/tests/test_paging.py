"""Cursors: they come back as they were given out, and nothing else is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway import paging
from gateway.problems import INVALID, ProblemError


class Apples(paging.Cursor, frozen=True, tag="apples"):
    position: int
    name: str


class Pears(paging.Cursor, frozen=True, tag="pears"):
    position: int
    name: str


@given(st.integers(-(2**63), 2**63 - 1), st.text())
def test_a_cursor_comes_back_as_it_was_given_out(position: int, name: str) -> None:
    cursor = Apples(position, name)
    assert paging.decode(paging.encode(cursor), Apples) == cursor


def test_without_a_cursor_it_is_the_first_page() -> None:
    assert paging.decode(None, Apples) is None


@given(st.text())
@example("")
@example(paging.encode(Pears(1, "a")))
@example(paging.encode(Apples(1, "a")) + "A")
@example(paging.encode(Apples(1, "a")) + "=")
@example(paging.encode(Apples(1, "a"))[:-1])
@example(paging.encode(Apples(1, "a")) + "\n")
def test_what_no_list_has_given_out_is_422_with_the_parameter(text: str) -> None:
    with pytest.raises(ProblemError) as raised:
        paging.decode(text, Apples)
    assert raised.value.kind is INVALID
    assert [error.field for error in raised.value.errors or ()] == ["cursor"]
