"""What both services speak, and nothing else. This package imports no service."""
