"""Credentials: tokens, the sessions of browsers that signed in, and sign-in links. Only their hashes are stored."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from inkling.storage.database import Database, count_changed
from inkling.storage.records import TokenRow, now


@dataclass(frozen=True)
class Quota:
    """How many points a token may use; None means that it has no limit of its own."""

    minute: int | None = None
    day: int | None = None  # in UTC


@dataclass(frozen=True)
class Credential:
    """What is stored of a credential besides its hash."""

    id: int
    kind: str  # "token", "session" or "link"
    scope: str
    owner: str
    created: datetime  # UTC
    expires: datetime  # UTC
    quota: Quota = Quota()
    payer: int = 0  # id of the token whose quota it uses: its own, or that of the token that a session was made from


class Tokens:
    """The table of credentials. An expired one counts as gone; `add` deletes it."""

    def __init__(self, database: Database):
        self._database = database

    def add(
        self,
        hash: str,
        kind: str,
        scope: str,
        owner: str,
        period: timedelta,
        parent: Credential | None = None,
        quota: Quota | None = None,
    ) -> Credential:
        """Stores the hash of a new credential.

        Args:
            period: how long it is valid.
            parent: the token that a session was made from. The session ends with it, and uses its quota.
            quota: how much it may use; by default without a limit of its own.

        Raises:
            StoreError: the database cannot be written.
        """
        created = now()
        expires = min(created + period, parent.expires) if parent else created + period
        quota = parent.quota if parent else quota or Quota()
        with self._database.writing() as session:
            session.execute(sa.delete(TokenRow).where(TokenRow.expires <= created))
            row = TokenRow(
                hash=hash,
                kind=kind,
                scope=scope,
                owner=owner,
                created=created,
                expires=expires,
                parent=parent and parent.id,
                minute_limit=quota.minute,
                day_limit=quota.day,
            )
            session.add(row)
            session.flush()
            return _credential(row)

    def find(self, hash: str, kind: str) -> Credential | None:
        """The credential with this hash, if it is of this kind and has not expired.

        Raises:
            StoreError: the database cannot be read.
        """
        with self._database.reading() as session:
            return _find(session, hash, kind)

    def take(self, hash: str, kind: str) -> Credential | None:
        """Deletes a credential and returns it, as `find` would. Of several callers, only one gets it.

        Raises:
            StoreError: the database cannot be written.
        """
        with self._database.writing() as session:
            found = _find(session, hash, kind)
            deleted = found and count_changed(session, sa.delete(TokenRow).where(TokenRow.id == found.id))
            return found if deleted else None

    def use(self, id: int, points: int) -> int:
        """Adds points to what a token has used today; returns what it had used before.

        Raises:
            StoreError: the database cannot be written.
        """
        today = now().date().isoformat()
        used = sa.case((TokenRow.day == today, TokenRow.used), else_=0) + points
        with self._database.writing() as session:
            session.execute(sa.update(TokenRow).where(TokenRow.id == id).values(used=used, day=today))
            after = session.scalar(sa.select(TokenRow.used).where(TokenRow.id == id))
            return 0 if after is None else after - points

    def all(self) -> list[Credential]:
        """All credentials that have not expired, oldest first.

        Raises:
            StoreError: the database cannot be read.
        """
        with self._database.reading() as session:
            query = sa.select(TokenRow).where(TokenRow.expires > now()).order_by(TokenRow.id)
            return [_credential(row) for row in session.scalars(query)]

    def delete(self, id: int) -> bool:
        """Deletes a credential, and the sessions that were made from it; returns whether there was one.

        Raises:
            StoreError: the database cannot be written.
        """
        with self._database.writing() as session:
            return count_changed(session, sa.delete(TokenRow).where(TokenRow.id == id)) > 0


def _find(session: Session, hash: str, kind: str) -> Credential | None:
    valid = (TokenRow.hash == hash, TokenRow.kind == kind, TokenRow.expires > now())
    row = session.scalars(sa.select(TokenRow).where(*valid)).one_or_none()
    return _credential(row) if row else None


def _credential(row: TokenRow) -> Credential:
    quota = Quota(row.minute_limit, row.day_limit)
    return Credential(row.id, row.kind, row.scope, row.owner, row.created, row.expires, quota, row.parent or row.id)
