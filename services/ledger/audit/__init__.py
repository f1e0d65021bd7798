"""Audit: checks everything that a ledger states, on a live store or on an export."""
