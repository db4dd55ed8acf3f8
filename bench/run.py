"""A benchmark from top to bottom: a shop, goods, phases of load, and the count at the end."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from bench import machine, processes
from bench.baskets import DIFFERENT, draw
from bench.check import counted
from bench.endings import Endings
from bench.goods import Goods, write_catalogue
from bench.load import Spec
from bench.measuring import Load, Measuring
from bench.results import Bench, Phase
from bench.shop import Shop, running, started
from bench.watcher import WatchSpec
from sagaproof.errors import CommandError

USERS = 2_000
DEFAULT_PRODUCTS = 3
WARM_UP_ORDERS = 2_000
GROWTH_PROBE_ORDERS = 5_000
SAMPLE_EVERY_S = 0.25
"""In the open loop, beside the load: how often an order is watched over a WebSocket."""
IDLE_S = 15.0
PIECES_SPARE = 100_000
FASTEST_PER_S = 6_000
"""How many orders a second the shelves are filled for."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure. `seconds`, `rate`, `alone` 0 leave their phase out; `orders` is for growth, 0 for none."""

    seconds: float = 60.0
    connections: int = 32
    rate: float = 100.0
    rate_seconds: float = 30.0
    alone: int = 200
    orders: int = 0
    products: int = DEFAULT_PRODUCTS
    postgres: bool = False
    mode: str = "choreographed"
    replicas: int = 1
    idle_s: float = IDLE_S
    warm_up: int = WARM_UP_ORDERS


def bench(plan: Plan, state_home: Path, against: str | None, tell: Callable[[str], None]) -> Bench:
    """Everything. Raises CommandError when the shop does not start, or ends.

    A shop that failed, or whose count is wrong, is stopped, but its data and logs are kept.
    """
    least = plan.warm_up + 3 * GROWTH_PROBE_ORDERS
    if 0 < plan.orders < least:
        what = f"to compare the first {GROWTH_PROBE_ORDERS:,} with the last"
        raise CommandError(f"--orders has to be {least:,} at least, {what}")
    if against:
        return _measure(plan, running(against, state_home), None, tell)
    (state_home / "bench").mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=state_home / "bench", prefix="shop-"))
    home, keep = folder / "home", False
    tell("starting a shop")
    try:
        with started(home, state_home / "kafka", plan.replicas, *_variant(plan, folder)) as (shop, first_order_s):
            found = _measure(plan, shop, first_order_s, tell)
        keep = bool(found.check.wrong)
    except CommandError as error:
        keep = True
        raise CommandError(error.line, [*error.details, f"its data and logs are kept: {home}"]) from None
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    if keep:
        found.check.wrong.append(f"data and logs are kept: {home}")
    return found


def _variant(plan: Plan, folder: Path) -> tuple[list[str], dict[str, str]]:
    """What the launcher is told: arguments and environment."""
    environment, arguments = {"SAGA_MODE": plan.mode}, list[str]()
    if plan.products != DEFAULT_PRODUCTS:
        environment["CATALOGUE"] = str(folder / "catalogue.json")
        write_catalogue(folder / "catalogue.json", plan.products)
    if plan.postgres:
        arguments.append("--postgres")
    if plan.replicas != 1:
        arguments += ["--replicas", str(plan.replicas)]
    return arguments, environment


def _measure(plan: Plan, shop: Shop, first_order_s: float | None, tell: Callable[[str], None]) -> Bench:
    facts, began = machine.facts(), time.time()
    with (
        Goods(shop.places) as goods,
        closing(Endings(shop.state.kafka)) as endings,
        tempfile.TemporaryDirectory() as folder,
    ):
        products = list(goods.products())
        tell("restocking and depositing")
        goods.fill(products, _orders_max(plan) // len(products) + PIECES_SPARE, USERS)
        before, restarts = goods.count(USERS), _restarts(shop)
        measuring = Measuring(shop, goods, endings, tell)
        idle = _idle(shop, plan.idle_s, tell)
        phases = [measuring.phase(load) for load in loads(plan, shop.url, products, Path(folder))]
        check = counted(measuring.orders, endings.ledger, before, goods.count(USERS), draw(USERS, products))
        check.wrong += measuring.wrong
        check.wrong += [f"{service} has {count} dead letters" for service, count in goods.dead_letters().items()]
        if _restarts(shop) != restarts:
            check.wrong.append("a process of the shop was restarted during the run")
    return Bench(
        at=began,
        machine=facts,
        plan=msgspec.to_builtins(plan),
        first_order_s=first_order_s,
        idle_cores=idle,
        phases=phases,
        growth=growth(phases),
        check=check,
    )


def _orders_max(plan: Plan) -> int:
    in_time = FASTEST_PER_S * plan.seconds + plan.rate * plan.rate_seconds
    return int(in_time) + plan.alone + plan.orders + plan.warm_up


def loads(plan: Plan, url: str, products: list[str], folder: Path) -> Generator[Load]:
    """The phases, in their order. No two generators begin at the same order of the sequence."""
    address = urlsplit(url)
    host, port = address.hostname or "", address.port or 80
    first = 0

    def closed(name: str, *, seconds: float = 0.0, orders: int = 0) -> Load:
        nonlocal first
        first += DIFFERENT // 7
        out = str(folder / f"{first}.load")
        spec = Spec(host, port, out, plan.connections, USERS, products, 0.0, seconds, orders, first)
        return Load(name, "closed", "bench.load", spec)

    def watched(orders: int = 0, seconds: float = 0.0, every_s: float = 0.0) -> WatchSpec:
        nonlocal first
        first += DIFFERENT // 7
        out = str(folder / f"{first}.watch")
        return WatchSpec(host, port, out, USERS, products, every_s, seconds, orders, first)

    if plan.warm_up:
        yield closed("warm-up", orders=plan.warm_up)
    if plan.orders:
        fill = plan.orders - plan.warm_up - 2 * GROWTH_PROBE_ORDERS
        yield closed("first 5,000", orders=GROWTH_PROBE_ORDERS)
        yield closed("growth", orders=fill)
        yield closed("last 5,000", orders=GROWTH_PROBE_ORDERS)
    elif plan.seconds:
        yield closed("closed loop", seconds=plan.seconds)
    if plan.rate and plan.rate_seconds:
        beside = watched(seconds=plan.rate_seconds, every_s=SAMPLE_EVERY_S)
        out = str(folder / "open.load")
        spec = Spec(host, port, out, plan.connections, USERS, products, plan.rate, plan.rate_seconds, 0, first // 2)
        yield Load("open loop", "open", "bench.load", spec, beside)
    if plan.alone:
        yield Load("one at a time", "alone", "bench.watcher", watched(orders=plan.alone))


def _idle(shop: Shop, seconds: float, tell: Callable[[str], None]) -> dict[str, float]:
    """Cores that each process uses while nobody orders."""
    if not seconds:
        return {}
    tell(f"idle for {seconds:.0f} s")
    before, began = processes.cpu_s(shop.state), time.monotonic()
    time.sleep(seconds)
    took_s = time.monotonic() - began
    used = processes.difference(before, processes.cpu_s(shop.state))
    return {name: round(value / took_s, 4) for name, value in used.items()}


def growth(phases: Sequence[Phase]) -> float | None:
    """CPU per order of the last orders against the first ones; None where that was not measured."""
    cost = {phase.name: phase.cpu_ms_per_order for phase in phases}
    if not cost.get("first 5,000"):
        return None
    return round(cost["last 5,000"] / cost["first 5,000"], 3)


def _restarts(shop: Shop) -> dict[str, int]:
    return {name: process.restarts for name, process in shop.state.processes.items()}
