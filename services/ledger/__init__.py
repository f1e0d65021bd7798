"""The ledger: decides on events, appends entries, proves and serves them."""
