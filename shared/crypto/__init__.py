"""Encryption: JWE, and the keys that protect messages in the queue."""
