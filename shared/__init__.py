"""Code that both services share. This package imports no service."""
