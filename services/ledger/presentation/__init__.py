"""Texts and views that a person reads about their own plan. No SQL and no Flask."""
