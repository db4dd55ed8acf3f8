"""The services of the shop, and the engine that runs them."""

__version__ = "0.1.0"
