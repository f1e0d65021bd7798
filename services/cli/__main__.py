"""`python -m services.cli` is `firsthand`."""

from services.cli import main

main(prog_name="firsthand")
