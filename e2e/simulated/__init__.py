"""The simulation: the real participants on the real engine loop, with broker, stores and clock in memory.

`simulate(scenario, seed)` gives the history of a shop. The scenario says what customers and faults do; everything else,
who goes next, how far, and when the clock moves, is chosen by one generator of random numbers, which the seed starts.
"""
