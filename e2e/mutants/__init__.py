"""Mutants: the shop, broken in one way at a time, to see that the checks would say so.

A mutant is a row of a table (`in_engine.py`, `in_undoing.py`, `in_services.py`, `in_worlds.py`, `in_postgres.py`): what
is broken, the text that is replaced, the check that must find it, and what it is tried in. `python -m e2e.mutants`
plants each into a copy of the code and runs that copy until something is found, in one of four ways: `histories.py`
simulates shops, `worlds.py` walks every world of one order, `replicas.py` has two replicas of each service on one
PostgreSQL, `deliveries.py` publishes to a broker that stands still. A mutant that nothing finds is a hole in the
scenarios or in the checks.
"""
