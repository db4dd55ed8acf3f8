"""Every world that a small shop can come to, visited once: the real participants on the real engine loop.

The simulation draws histories; this walks all of them, of one order or of two. A **world** is what each service has
stored, what each has still to read, what the customer has still to ask, and how many crashes may still come. A **step**
leads from one to the next: a service handles one of the records that it could read next, or all of them in one batch;
a timer fires; the customer asks; a service dies at a crash point, or starts again. Read in this order: `machine`
(one service), `worlds` (all of them), `search` (the walk), `held` (what must be true), `situations` (what is walked).
"""
