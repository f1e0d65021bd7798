"""Authentication: bearer tokens and their issuers."""
