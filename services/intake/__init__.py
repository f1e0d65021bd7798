"""Intake service: receives events over HTTP and appends them durably to the inbox.

Intake validates the shape of an event. Only the ledger decides whether to accept it.
"""
