"""The catalogue: the products, their prices, and the stock that each opens with. A JSON file, replaceable."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

DEFAULT = Path(__file__).with_name("catalogue.json")


class Product(msgspec.Struct, frozen=True):
    """`price_minor` in the minor unit of `currency` (ISO 4217); `stock` in pieces."""

    product_id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    name: str
    price_minor: Annotated[int, Meta(ge=0, le=10**12)]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    stock: Annotated[int, Meta(ge=0, le=2**31 - 1)]


Catalogue = Mapping[str, Product]


def read(path: str) -> Catalogue:
    """The products by id, in the file's order; ends the process with one line if the file is wrong.

    `path` '' is the catalogue that comes with sagaproof.
    """
    file = Path(path) if path else DEFAULT
    try:
        products = msgspec.json.decode(file.read_bytes(), type=list[Product])
    except (OSError, msgspec.DecodeError) as error:
        sys.exit(f"the catalogue {file} cannot be read: {error}")
    by_id = {product.product_id: product for product in products}
    if len(by_id) != len(products) or not products:
        sys.exit(f"the catalogue {file} must have products, and each only once")
    return by_id
