"""Checks of `firsthand doctor`: keys, host, queue, store and services."""
