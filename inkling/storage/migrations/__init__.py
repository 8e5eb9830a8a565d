"""Upgrades the database's schema by Alembic.

Every change of `records.py` comes with a new file in `versions`; `HEAD` names the last one.
"""

import logging
import threading
from pathlib import Path

import sqlalchemy as sa

from inkling.storage.errors import StoreError
from inkling.storage.records import Base, UsageRow

log = logging.getLogger("inkling.migrations")

HEAD = "0013"

_alembic = threading.Lock()  # Alembic keeps its state in global variables


def upgrade(engine: sa.Engine) -> None:
    """Brings a database to revision `HEAD`; a database from before Alembic is recognized, an empty one is filled.

    Several workers of several machines may call it together: one upgrades in a single transaction, which has the write
    lock (`Database.writing`); the others wait. A database that is up to date is only read.

    Raises:
        StoreError: the database was upgraded by a newer version of Inkling.
        sqlalchemy.exc.DBAPIError: it cannot be opened or changed, or another worker upgrades for too long.
    """
    with engine.connect() as connection:
        if _revision(connection) == HEAD:
            return
    with _alembic, engine.execution_options(write=True).begin() as connection:
        before = _revision(connection)
        if before == HEAD:  # another worker was faster
            return
        if before or sa.inspect(connection).has_table("predictions"):
            _run(connection)
            log.info("database upgraded from %s to %s", before or "no revision", HEAD)
        else:
            _create(connection)


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.scalar(sa.text("SELECT version_num FROM alembic_version"))


def _create(connection: sa.Connection) -> None:
    """Creates all tables as `records.py` declares them, which takes less time than all revisions."""
    version = sa.Table("alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True))
    version.create(connection)
    Base.metadata.create_all(connection)
    connection.execute(sa.insert(version).values(version_num=HEAD))
    connection.execute(sa.insert(UsageRow).values(id=1, bytes=0))


def _run(connection: sa.Connection) -> None:
    # Imported here, for it takes time and hardly any start needs it.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    try:
        command.upgrade(config, HEAD)
    except CommandError as error:
        raise StoreError("the database was made by a newer version of Inkling") from error
