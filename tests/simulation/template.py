"""Keys, tokens and an empty ledger, made once for all seeds."""

import shutil
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from sqlalchemy import event as sqlalchemy_event

from services.ledger.config import LedgerSettings, signers
from services.ledger.fold import unwrap_keys
from services.ledger.maintenance.init import init
from services.ledger.store.database import connect, transaction
from services.ledger.vault import Vault
from shared.auth.tokens import Callers, local_token
from shared.crypto.transit import Transit
from tests.chaos.posters import made_up_posts

PEOPLE, EVENTS = 2, 20


class Template:
    """Keys and an empty ledger, made once and copied for each seed; tokens for all authors."""

    def __init__(self, folder: Path) -> None:
        self.settings = LedgerSettings.load(data=folder, redis_url="unix:///none", partitions=1)
        init(self.settings)
        stories = made_up_posts(PEOPLE, EVENTS, 0)
        authors = {author for events in stories.values() for author, _ in events}
        self.tokens = {name: local_token(self.settings.key_folder, name) for name in authors}
        self.callers = Callers.from_folder(self.settings.key_folder, self.settings.audience)
        self.transit = Transit.from_folder(self.settings.key_folder)
        self.signers = signers(self.settings)
        self.folder = folder / "seed"
        self._copy()
        url = f"sqlite:///{self.folder / 'ledger.db'}"
        self.writers = [connect(url, write=True), connect(url, write=True)]  # their SQL is compiled
        self.reader = connect(url, write=False)
        for writer in self.writers:
            sqlalchemy_event.listen(writer, "checkout", _never_wait)

    def renew(self) -> None:
        """Replace the ledger by the empty one."""
        for engine in (*self.writers, self.reader):
            engine.dispose()
        shutil.rmtree(self.folder)
        self._copy()

    def _copy(self) -> None:
        self.folder.mkdir()
        shutil.copy(self.settings.data / "ledger.db", self.folder / "ledger.db")

    def vault(self, engine: Engine) -> Vault:
        """Return the keys, as a process has them at its start."""
        vault = Vault.from_folder(self.settings.key_folder)
        with transaction(engine) as connection:
            unwrap_keys(connection, vault, ())
        return vault


def _never_wait(connection: Any, *_: object) -> None:
    """Fail at once if the head is locked: one thread plays all actors, so it must not wait."""
    connection.execute("PRAGMA busy_timeout=0")
