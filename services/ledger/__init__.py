"""The ledger: decides, appends, proves and reads."""
