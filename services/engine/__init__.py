"""The engine that runs every service: one loop of decide, one transaction, publish. It knows nothing of orders.

Read in this order: `participant` (what a service says of itself), `messages` (what comes in), `batch` (deciding in
memory), `store` (what one transaction keeps), `loop` (the cycle), `kafka` (in and out), `main` (wiring).
"""
