"""The contract of events: their types, fields, refusals, canonical bytes and partitions."""
