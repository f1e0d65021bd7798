"""The log, pure: the RFC 6962 tree, entries, checkpoints."""
