"""The benchmark behind `sagaproof bench`: how fast the shop is, what an order costs, and that nothing was lost.

`run.py` is the whole story from top to bottom. It starts a shop of its own (`shop.py`), fills shelves and accounts
(`goods.py`), lets a process of its own place orders (`load.py`), waits until nothing moves any more, reads from the
topic `orders` when each order ended (`endings.py`) and from the operating system what it cost (`processes.py`), counts
stock and money (`goods.py`) and shows it (`report.py`, `chart.py`).

Nothing here is timed by the system under test but the endings: an order ends when the order service gives its ending
to the broker, after its transaction, by the record's timestamp. Both clocks are the machine's.
"""
