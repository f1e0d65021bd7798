"""The plan without I/O: which events are accepted (`decide`) and what they change (`evolve`)."""
