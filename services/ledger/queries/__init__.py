"""Queries: the plan now and in the past, history, diff and provenance. Read only."""
