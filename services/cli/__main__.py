"""Entry point of `python -m services.cli`, the same as `firsthand`."""

from services.cli import main

main(prog_name="firsthand")
