"""The store, the only package with SQL: tables, append-only guards, connections, reads, writes."""
