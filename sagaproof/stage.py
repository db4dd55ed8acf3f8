"""What the scenes of the demo are played on: narration, customers, orders told live, and books that have to balance."""

import time
import uuid
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import closing

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sagaproof import show
from sagaproof.client import Gateway
from sagaproof.documents import Order, Product, accepted_decoder, order_decoder, products_decoder
from sagaproof.errors import CommandError
from sagaproof.rpc import Inventory, Payment

PRODUCTS = ("product-1", "product-2", "product-3")
"""What the scenes order."""

ENDING_S = 45.0
"""An order gives up by itself after 30 s; this is that and some grace."""

SETTLE_S = 10.0
POLL_S = 0.1
READING_S = 1.0
"""A moment between two scenes, where somebody is looking."""

TEXT_WIDTH = 100
INDENT = 3


class Told:
    """An order that was placed, told line by line as its documents come."""

    def __init__(self, order_id: str, documents: Generator[bytes], show_line: Callable[[Text], None]) -> None:
        self.order_id = order_id
        self._documents = documents
        self._show = show_line
        self._story = show.Story()
        self.last: Order | None = None

    def tell_until(self, happened: Callable[[Order], bool]) -> Order:
        """Tell what is new until `happened`. Raises CommandError if it does not within the order's time."""
        for document in self._documents:
            self.last = order_decoder.decode(document)
            for line in self._story.news(self.last):
                self._show(line)
            if happened(self.last):
                return self.last
        raise CommandError(f"order {self.order_id} went another way than this scene: sagaproof status {self.order_id}")

    def ending(self) -> Order:
        """Tell the rest, and watch no longer."""
        with closing(self._documents):
            return self.last if self.last and self.last.ended else self.tell_until(lambda found: found.ended)


class Stage:
    """The shop, and what the scenes have done to it so far."""

    def __init__(self, gateway: Gateway, inventory: Inventory, payment: Payment, console: Console) -> None:
        self.gateway = gateway
        self.opened: dict[str, int] = {}
        """What each customer had at first."""
        self._inventory, self._payment, self._console = inventory, payment, console
        self._run = uuid.uuid4().hex[:6]
        self._scene = 0
        self._before: dict[str, Product] = {}
        self._currency = ""
        self._restocked = Counter[str]()
        self._shipped = Counter[str]()
        self._deposited = Counter[str]()
        self._paid = Counter[str]()
        self._completed, self._cancelled = 0, 0

    # ------------------------------------------------------------ narration

    def open(self) -> None:
        """Remember what there is. Raises CommandError if the catalogue is another one."""
        self._before = self.products()
        missing = [product for product in PRODUCTS if product not in self._before]
        if missing:
            raise CommandError(f"the demo plays with the catalogue of the project; here is no {', '.join(missing)}")
        self._currency = self._before[PRODUCTS[0]].price.currency
        self._console.print(Text("Five endings of an order, and a crash", style="bold"))
        self._print(show.products(self._before.values()))

    def scene(self, title: str, text: str) -> None:
        """Begin a scene."""
        if self._console.is_terminal and self._scene:
            time.sleep(READING_S)
        self._scene += 1
        self._console.print()
        self._console.print(Text(f"{self._scene}  {title}", style="bold"))
        self.say(text)

    def say(self, text: str) -> None:
        """Narrate: broken into lines that are good to read."""
        width = min(TEXT_WIDTH, self._console.width)
        self._console.print(Padding(Text(text, style="dim"), (0, 0, 0, INDENT), expand=False), width=width)

    def show(self, line: Text) -> None:
        """Something that the shop itself has said, on one line."""
        self._console.print(Text(" " * INDENT) + line, soft_wrap=True)

    # ------------------------------------------------------------ doing

    def products(self) -> dict[str, Product]:
        """Those of the scenes; a catalogue may have many more."""
        found = {product.product_id: product for product in products_decoder.decode(self.gateway.products())}
        return {name: found[name] for name in PRODUCTS if name in found}

    def price(self, product: str) -> int:
        return self._before[product].price.amount_minor

    def customer(self, name: str) -> str:
        """Somebody who was never here before; the account opens as accounts do."""
        user = f"{name}-{self._run}"
        self.opened[user] = self._payment.balance(user).amount_minor
        return user

    def stock(self, product: str, quantity: int) -> None:
        """See to it that there are so many."""
        missing = quantity - self.products()[product].available
        if missing > 0:
            self._inventory.restock(product, missing, str(uuid.uuid4()))
            self._restocked[product] += missing
            self.say(f"(There are not enough left: {product} is restocked by {missing:,}.)")

    def funds(self, user: str, amount_minor: int) -> None:
        """See to it that the user has so much."""
        missing = amount_minor - self.opened[user] - self._deposited[user]
        if missing > 0:
            self._payment.deposit(user, missing, self._currency, str(uuid.uuid4()))
            self._deposited[user] += missing
            self.say(f"({show.money(missing, self._currency)} are deposited for {user}.)")

    def order(self, user: str, product: str, quantity: int) -> Told:
        """Place an order, to be told."""
        answer = self.gateway.place([(product, quantity)], user=user, address="1 Main Street")
        order_id = accepted_decoder.decode(answer).order_id
        self.show(Text.assemble(f"{user} orders {quantity:,} x {product}", (f"   {order_id}", "dim")))
        return Told(order_id, self.gateway.watch(order_id, within_s=ENDING_S), self.show)

    def expect(self, order: Told, status: str, reason: str | None = None) -> None:
        """Tell the rest of an order, and note how it ended. Raises CommandError if that is not how it should."""
        ended = order.ending()
        self.show(show.outcome(ended))
        if (ended.status, ended.reason) != (status, reason):
            raise CommandError(
                f"order {order.order_id} should have ended {reason or status}, and ended "
                f"{ended.reason or ended.status}: sagaproof logs --order {order.order_id}"
            )
        if ended.status == "COMPLETED":
            self._completed += 1
            for item in ended.items:
                self._shipped[item.product_id] += item.quantity
                self._paid[ended.user_id] += item.quantity * self.price(item.product_id)
        else:
            self._cancelled += 1

    # ------------------------------------------------------------ counting

    def count(self) -> None:
        """Show stock and money before and after. Raises CommandError if they do not add up."""
        expected = {name: self._expected(product) for name, product in self._before.items()}
        now = self._settled(expected)
        balances = {user: self._payment.balance(user).amount_minor for user in self.opened}
        left = {user: had + self._deposited[user] - self._paid[user] for user, had in self.opened.items()}

        self.scene("The count", "Whatever happened above, nothing may be lost and nothing may be there twice.")
        stock = [
            (
                name,
                *(show.count(number) for number in (_all_of(product), self._restocked[name], self._shipped[name])),
                show.count(_all_of(now[name])),
                _verdict(_all_of(now[name]), expected[name]),
            )
            for name, product in self._before.items()
        ]
        columns = ("stock", "before", "restocked", "shipped", "now", "")
        self._print(show.table(columns, stock, right=columns[1:5]))
        money = [
            (
                user,
                *(show.amount(minor) for minor in (had, self._deposited[user], self._paid[user])),
                show.amount(balances[user]),
                _verdict(balances[user], left[user]),
            )
            for user, had in self.opened.items()
        ]
        columns = (f"money ({self._currency})", "before", "deposited", "paid", "now", "")
        self._print(show.table(columns, money, right=columns[1:5]))

        if balances != left:
            raise CommandError("money does not add up")
        if {name: _all_of(product) for name, product in now.items()} != expected:
            raise CommandError("stock does not add up; if somebody else ordered meanwhile, play the demo again")
        summary = (
            f"It adds up: {self._completed} orders completed and paid, {self._cancelled} cancelled without a trace."
        )
        self._console.print()
        self.show(Text(summary, style="green"))

    def _expected(self, product: Product) -> int:
        return _all_of(product) + self._restocked[product.product_id] - self._shipped[product.product_id]

    def _settled(self, expected: dict[str, int]) -> dict[str, Product]:
        """The products once they are as expected and no more is reserved than before; else as they are after a while.

        A reservation becomes a shipment a moment after its order has completed.
        """
        deadline = time.monotonic() + SETTLE_S
        while True:
            now = self.products()
            settled = all(
                _all_of(now[name]) == expected[name] and now[name].reserved == product.reserved
                for name, product in self._before.items()
            )
            if settled or time.monotonic() > deadline:
                return now
            time.sleep(POLL_S)

    def _print(self, table: Table) -> None:
        self._console.print(Padding(table, (1, 0, 0, INDENT), expand=False))


def _all_of(product: Product) -> int:
    """What is in the warehouse, reserved or not."""
    return product.available + product.reserved


def _verdict(found: int, expected: int) -> Text:
    return Text("adds up", style="green") if found == expected else Text("does not add up", style="red")
