"""Intake: takes events over HTTP and makes them durable. It decides nothing."""
