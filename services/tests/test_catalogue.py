"""The catalogue: a file that is checked when it is read."""

import json
from pathlib import Path

import pytest

from services import catalogue
from services.catalogue import Product

WIDGET = {"product_id": "product-1", "name": "Premium Widget", "price_minor": 2999, "currency": "USD", "stock": 100}


def test_the_catalogue_that_comes_along_has_three_products_in_dollars() -> None:
    products = catalogue.read("")
    assert [(p.product_id, p.price_minor, p.stock) for p in products.values()] == [
        ("product-1", 2999, 100),
        ("product-2", 4999, 50),
        ("product-3", 9999, 25),
    ]
    assert {p.currency for p in products.values()} == {"USD"}


def test_another_file_can_take_its_place(tmp_path: Path) -> None:
    file = tmp_path / "catalogue.json"
    file.write_text(json.dumps([WIDGET]))
    assert catalogue.read(str(file)) == {"product-1": Product("product-1", "Premium Widget", 2999, "USD", 100)}


WRONG = {
    "no JSON": "[",
    "not a list": json.dumps(WIDGET),
    "nothing": "[]",
    "a product twice": json.dumps([WIDGET, WIDGET]),
    "a negative stock": json.dumps([{**WIDGET, "stock": -1}]),
    "more stock than can be counted": json.dumps([{**WIDGET, "stock": 2**31}]),
    "a price with a fraction": json.dumps([{**WIDGET, "price_minor": 29.99}]),
    "a currency that is none": json.dumps([{**WIDGET, "currency": "$"}]),
    "an id with a blank": json.dumps([{**WIDGET, "product_id": "a b"}]),
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_a_wrong_catalogue_ends_the_process_with_one_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "catalogue.json"
    file.write_text(text)
    with pytest.raises(SystemExit) as ended:
        catalogue.read(str(file))
    assert str(file) in str(ended.value) and "\n" not in str(ended.value)


def test_a_catalogue_that_is_not_there_ends_the_process_with_one_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="cannot be read"):
        catalogue.read(str(tmp_path / "nothing.json"))
