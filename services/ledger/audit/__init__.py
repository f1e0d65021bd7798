"""The audit: everything that a ledger says, checked again, on a live store or on an export."""
