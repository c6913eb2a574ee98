"""Real transactions of every kind that a watermark could trip over, with their files."""

import os
import random
import threading

import psycopg

from tests.engine.clusters import Twins

INSERT = "INSERT INTO ir_attachment (name, store_fname, file_size) VALUES (%s, %s, %s)"
UPKEEP = (
    "VACUUM ir_attachment",
    "VACUUM FREEZE ir_attachment",
    "VACUUM (FULL, FREEZE) ir_attachment",
    "CLUSTER ir_attachment USING ir_attachment_pkey",
    "ALTER TABLE ir_attachment ALTER COLUMN res_id TYPE bigint",
    "ALTER TABLE ir_attachment ALTER COLUMN res_id TYPE int",
)
Session = psycopg.Connection[tuple[object, ...]]


class Writer(threading.Thread):
    """One client: writes files, then the rows that name them, in transactions of every shape."""

    def __init__(self, twins: Twins, seed: int, ended: threading.Event) -> None:
        super().__init__(daemon=True)
        self.twins, self.random, self.ended = twins, random.Random(seed), ended
        self.transactions = 0
        self.trouble: BaseException | None = None

    def run(self) -> None:
        try:
            with psycopg.connect(self.twins.primary.dsn("shop")) as session:
                while not self.ended.is_set():
                    self.turn(session)
                    self.transactions += 1
        except BaseException as trouble:  # noqa: BLE001  # the test raises it
            self.trouble = trouble

    def turn(self, session: Session) -> None:
        shape = self.random.choice(
            (self.plain, self.plain, self.nested, self.overflow, self.two_phase, self.change)
        )
        try:
            shape(session)
            if shape is self.two_phase:
                return
            if self.random.random() < 0.2:
                session.rollback()
            else:
                session.commit()
        except (psycopg.errors.DeadlockDetected, psycopg.errors.LockNotAvailable):
            session.rollback()

    def insert(self, session: Session) -> None:
        content = os.urandom(self.random.randrange(1, 60))
        name, size = self.twins.store(content)
        session.execute(INSERT, ("stress", name, size))

    def plain(self, session: Session) -> None:
        for _ in range(self.random.randrange(1, 4)):
            self.insert(session)
        if self.random.random() < 0.1:
            self.ended.wait(self.random.random())

    def nested(self, session: Session) -> None:
        for _ in range(self.random.randrange(1, 5)):
            with session.transaction(force_rollback=self.random.random() < 0.3):
                self.insert(session)
                with session.transaction(force_rollback=self.random.random() < 0.3):
                    self.insert(session)

    def overflow(self, session: Session) -> None:
        """More subtransactions than a backend's share of shared memory holds."""
        for number in range(70):
            with session.transaction():
                if number % 10 == 0:
                    self.insert(session)
                else:
                    session.execute("INSERT INTO res_partner (name) VALUES ('x')")

    def two_phase(self, session: Session) -> None:
        self.insert(session)
        name = f"stress-{self.ident}-{self.transactions}"
        session.execute(f"PREPARE TRANSACTION '{name}'")
        session.commit()
        self.ended.wait(self.random.random() * 0.5)
        verb = self.random.choice(("COMMIT", "COMMIT", "ROLLBACK"))
        session.autocommit = True
        session.execute(f"{verb} PREPARED '{name}'".encode())
        session.autocommit = False

    def change(self, session: Session) -> None:
        """Give old rows other content, and delete some."""
        name, size = self.twins.store(os.urandom(30))
        chosen = "(SELECT id FROM ir_attachment ORDER BY random() LIMIT 2)"
        session.execute(
            f"UPDATE ir_attachment SET store_fname = %s, file_size = %s WHERE id IN {chosen}",
            (name, size),
        )
        session.execute(f"DELETE FROM ir_attachment WHERE id IN {chosen}")


def upkeep(twins: Twins, ended: threading.Event) -> None:
    """Vacuum, freeze, cluster and rewrite the table all the while."""
    chooser = random.Random(7)
    with twins.primary.connect() as session:
        session.execute("SET lock_timeout = '3s'")
        while not ended.wait(0.2):
            try:
                session.execute(chooser.choice(UPKEEP).encode())
            except (psycopg.errors.DeadlockDetected, psycopg.errors.LockNotAvailable):
                continue
