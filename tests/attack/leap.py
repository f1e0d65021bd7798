"""`firsthand` with a clock that is years ahead: `python -m tests.attack.leap worker`."""

import sys
import time
from datetime import timedelta

from services.cli import main
from services.ledger import config

YEARS = 60

if __name__ == "__main__":  # the command imports the ledger's clock by name, later than this
    leap, seconds, now = timedelta(days=365 * YEARS), time.time, config.utc_now
    time.time = lambda: seconds() + leap.total_seconds()
    config.utc_now = lambda: now() + leap
    main(sys.argv[1:])
