"""The client library: post events over HTTP, keep them in an outbox, read plans."""
