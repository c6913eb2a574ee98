"""Breaches of one customer, and what may come of them: programs, traps and oracles."""
