"""Mutants: the shop, broken in one way at a time, to see that the checks would say so.

A mutant is a row of a table (`in_engine.py`, `in_undoing.py`, `in_services.py`): what is broken, the text that is
replaced, and the check that must find it. `python -m e2e.mutants` plants each into a copy of the code and simulates
that copy until something is found. One that nothing finds is a hole in the scenarios or in the checks.
"""
