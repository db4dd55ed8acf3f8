"""How amounts and orders are written, and how amounts are read."""

import pytest

from sagaproof import show
from sagaproof.documents import Order, order_decoder


@pytest.mark.parametrize(
    ("cents", "text"), [(0, "0.00 USD"), (7, "0.07 USD"), (123456, "1,234.56 USD"), (-250, "-2.50 USD")]
)
def test_money_is_written_for_people(cents: int, text: str) -> None:
    assert show.money(cents, "USD") == text


@pytest.mark.parametrize(
    "text", ["", "0", "0.00", "-5", "1e3", "1,5", "NaN", "inf", "1.005", " 5", "5 ", "\u0665", "9" * 16]
)
def test_an_amount_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        show.parse_amount(text)


def told(*texts: str) -> list[str]:
    """What a story tells of documents with these timelines: `event@ms[:detail]` each."""
    story, lines = show.Story(), list[str]()
    for text in texts:
        lines += [" ".join(line.plain.split()) for line in story.news(order(text))]
    return lines


def order(text: str) -> Order:
    entries = list[str]()
    for event in text.split():
        name, _, rest = event.partition("@")
        ms, _, detail = rest.partition(":")
        time = f"2026-01-01T10:00:00.{int(ms):03}Z"
        entries.append(f'{{"type":"{name}","time":"{time}","service":"s","detail":"{detail}"}}')
    return order_decoder.decode(f'{{"orderId":"o","status":"PENDING","seq":1,"timeline":[{",".join(entries)}]}}')


def test_each_event_is_told_once_and_in_the_order_of_time() -> None:
    assert told("Created@5", "Created@5 Shipped@30 Charged@20") == [
        "0 ms s Created",
        "15 ms s Charged",
        "25 ms s Shipped",
    ]


def test_a_detail_that_is_passed_on_is_told_once() -> None:
    assert told("Failed@1:poor Cancelled@2:poor") == ["0 ms s Failed poor", "1 ms s Cancelled"]
