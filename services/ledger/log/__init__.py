"""The transparency log without I/O: entries, the RFC 6962 tree, tiles, proofs and checkpoints."""
