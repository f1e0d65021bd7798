"""Client library: post events over HTTP from a durable outbox, and read plans."""
