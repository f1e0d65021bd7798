"""Maintenance of a ledger: init, key rotation, export, rebuild, restore."""
