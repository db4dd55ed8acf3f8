"""The shops of all end-to-end tests; each test has products and users of its own, so that its sums are its own.

Scenarios run on what `--substrate` and `--mode` say (`e2e/substrates/choice.py`). All other tests of a whole shop are
of one on this machine, in the default variant, or in each that is named by `variants(...)`. Of either there is one at a
time, which tests that follow each other share.
"""

from __future__ import annotations

import random
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest

from e2e.history import History
from e2e.judging import judge
from e2e.report import HISTORY
from e2e.scenarios.orders import Draw, fill_shelves
from e2e.shop import DEFAULT, VARIANTS, Shop, running
from e2e.substrates import choice
from e2e.substrates.choice import Choice
from e2e.substrates.deployed import Deployed
from e2e.substrates.local import Local
from e2e.substrates.simulated import Simulated
from e2e.substrates.site import Site
from e2e.substrates.substrate import Substrate
from services import catalogue

STOCK = 1000
PRICE_MINOR = 100
PRODUCTS = 400
TEST_WITHIN_S = 300
"""More than elsewhere: on a busy machine a shop takes up to `START_WITHIN_S` to start, and some tests start two."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    unwanted = {item for item in ours if not choice.is_wanted(item, config)}
    if unwanted:
        config.hook.pytest_deselected(items=list(unwanted))
        items[:] = [item for item in items if item not in unwanted]
    choice.mark(items, config.option.seed)
    for item in items:
        if item.get_closest_marker("e2e"):
            item.add_marker(pytest.mark.timeout(TEST_WITHIN_S))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "substrate" in metafunc.fixturenames:
        needed = choice.needs(metafunc.definition)
        metafunc.parametrize("substrate", choice.choices(metafunc.config, needed), indirect=True, ids=str)
    elif "shop" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("variants")
        metafunc.parametrize("shop", marker.args if marker else [DEFAULT], indirect=True)


class _Running:
    """The shop that runs at the moment: one at a time, and none for longer than tests want it."""

    choice: Choice | None = None
    shop: Shop
    substrate: Deployed
    _end = ExitStack()

    def want(self, wanted: Choice, home: pytest.TempPathFactory) -> None:
        if self.choice != wanted:
            self.end()
            self._start(wanted, home.mktemp("shop"))

    def _start(self, wanted: Choice, home: Path) -> None:
        if wanted.variant:
            environment = {"CATALOGUE": str(write_catalogue(home)), "DELIVERY_STEP_S": "0.3"}
            self.shop = self._end.enter_context(running(home, VARIANTS[wanted.variant], **environment))
            site: Site = Local(self.shop)
        else:
            site = self._end.enter_context(choice.site(wanted, home))
        self.substrate = Deployed(site)
        self._end.callback(self.substrate.close)
        fill_shelves(self.substrate)
        self.choice = wanted

    def end(self) -> None:
        self.choice = None
        self._end.close()


_running = _Running()


def _wanted(item: pytest.Item | None) -> Choice | None:
    """The real shop that this test wants."""
    callspec = getattr(item, "callspec", None)
    found = callspec.params.get("substrate", callspec.params.get("shop")) if callspec else None
    if isinstance(found, Choice):
        return found if found.is_real else None
    return Choice("local", VARIANTS[found].mode, found) if found in VARIANTS else None


@pytest.fixture
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The shop of this variant."""
    wanted = _wanted(request.node)
    assert wanted is not None
    _running.want(wanted, tmp_path_factory)
    return _running.shop


@pytest.fixture
def substrate(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Substrate]:
    """What a scenario runs on; where that cannot do what the scenario needs, this is where it is skipped."""
    wanted: Choice = request.param
    if wanted.is_real:
        _running.want(wanted, tmp_path_factory)
        found: Substrate = _running.substrate
    else:
        found = Simulated(wanted.mode, random.Random(_seed_of(request.node)).randrange(2**32))
        fill_shelves(found)
    choice.skip_unless_able(found, request.node)
    yield found
    found.tidy()
    if wanted.is_real and request.node.get_closest_marker("own_shop"):
        _running.end()


def _seed_of(item: pytest.Item) -> str:
    """Each test draws by the run's seed and its own name."""
    return f"{item.config.option.seed}/{item.nodeid}"


@pytest.fixture
def draw(request: pytest.FixtureRequest) -> Draw:
    return Draw(_seed_of(request.node))


@pytest.fixture
def local_history(shop: Shop) -> History:
    """All that ever happened to this shop, with what scenarios did to it."""
    assert _running.shop is shop
    return _running.substrate.history()


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    """A scenario has not passed before its whole history is right."""
    begun_us = time.time_ns() // 1000
    result = yield
    found: Any = pyfuncitem.funcargs.get("substrate")
    substrate: Substrate | None = found
    if substrate is not None:
        history = pyfuncitem.stash[HISTORY] = substrate.history()
        judge(history, substrate.recovers_within_s, begun_us)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and choice.choice_of(item) is not None:
        report.sections.append(("again", choice.reproduce(item)))
    return report


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """Ends a shop that the next test does not want."""
    if _running.choice is not None and _wanted(nextitem) != _running.choice:
        _running.end()


def write_catalogue(home: Path) -> Path:
    """Our catalogue, and many products more that cost little."""
    ours = msgspec.json.decode(catalogue.DEFAULT.read_bytes(), type=list[catalogue.Product])
    more = [catalogue.Product(f"test-{n}", f"Test {n}", PRICE_MINOR, "USD", STOCK) for n in range(PRODUCTS)]
    path = home / "catalogue.json"
    path.write_bytes(msgspec.json.encode([*ours, *more]))
    return path


_products = count()


@pytest.fixture
def product() -> str:
    """A product that no other test orders: `STOCK` pieces at `PRICE_MINOR`."""
    return f"test-{next(_products)}"


@pytest.fixture(autouse=True)
def _tell_of_failures(request: pytest.FixtureRequest) -> Iterator[None]:
    """Prints the ends of all logs where a test fails."""
    shop: Shop | Substrate | None = request.getfixturevalue("shop") if "shop" in request.fixturenames else None
    failed_before = request.session.testsfailed
    yield
    if shop is not None and request.session.testsfailed > failed_before:
        print(shop.logs())


def pytest_sessionfinish() -> None:
    """Ends what Ctrl-C has left: containers do not end with this process."""
    _running.end()
