"""What must be true of a shop, whatever it runs on: each scenario is written once, and never names a substrate.

After each, its whole history passes the checks, and every order has ended soon after the last fault was over.
"""
