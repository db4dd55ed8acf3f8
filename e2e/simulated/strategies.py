"""Scenarios as Hypothesis draws them. They shrink: to fewer orders and faults, and to what is plain and early."""

from hypothesis import strategies as st

from e2e.simulated.drawn import (
    AT_MS,
    FAULTS_MAX,
    KINDS,
    PIECES,
    POINTS,
    SERVICES,
    TYPES,
    USERS,
)
from e2e.simulated.scenario import (
    STOCK,
    Deposit,
    Fault,
    Kill,
    KillAt,
    Order,
    Poison,
    Redeliver,
    Restock,
    Scenario,
    Skew,
    Stop,
    Unreachable,
)
from services.saga import Mode

ORDERS_MAX = 20

_times_ms = st.integers(0, AT_MS)
_users = st.sampled_from(USERS)
_products = st.sampled_from(tuple(STOCK))


def _faults(services: tuple[str, ...]) -> st.SearchStrategy[Fault]:
    service = st.sampled_from(services)
    return st.one_of(
        st.builds(KillAt, service, st.sampled_from(POINTS), st.integers(1, 15)),
        st.builds(Kill, service, _times_ms),
        st.builds(Stop, service, _times_ms, st.sampled_from((10, 1000, 10_000, 40_000))),
        st.builds(Redeliver, service, _times_ms, st.integers(1, 50)),
        st.builds(Unreachable, service, st.integers(1, 10), st.integers(0, 5), st.integers(0, 5)),
        st.builds(Poison, st.sampled_from(TYPES), _times_ms, st.just(0), st.sampled_from(KINDS)),
        st.builds(Skew, service, st.integers(-4000, 4000)),
    )


_orders = st.builds(
    Order,
    _users,
    st.dictionaries(_products, st.sampled_from(sorted(set(PIECES))), min_size=1),
    _times_ms,
    st.none() | st.sampled_from((0, 5, 50, 500, 5000)),
    st.booleans(),
)


def scenarios(mode: Mode) -> st.SearchStrategy[Scenario]:
    """Of 1 to 20 orders, on little stock and few accounts, and with some faults."""
    services = (*SERVICES, "orchestrator") if mode == "orchestrated" else SERVICES
    return st.builds(
        Scenario,
        mode=st.just(mode),
        orders=st.lists(_orders, min_size=1, max_size=ORDERS_MAX),
        stock=st.fixed_dictionaries({product: st.sampled_from((2, 30, 100, 300)) for product in STOCK}),
        restocks=st.lists(st.builds(Restock, _products, st.just(5), _times_ms), max_size=2),
        deposits=st.lists(st.builds(Deposit, _users, st.just(50_000), _times_ms), max_size=2),
        faults=st.lists(_faults(services), max_size=FAULTS_MAX),
        slow=st.booleans(),
    )


def seeds() -> st.SearchStrategy[int]:
    """For everything that a scenario leaves open."""
    return st.integers(0, 2**32 - 1)
