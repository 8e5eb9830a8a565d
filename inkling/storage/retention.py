"""Retention: deletes results beyond their age or the quota, and cleans up after crashes.

A result that a visitor deletes is hidden, and deleted ten minutes later. Results older than the retention period are
deleted unless they have a correction: a visitor who corrects a result wants to keep it. Beyond the quota, results are
deleted, corrected or not; otherwise one visitor could fill the disk with corrections. The oldest results of the
heaviest client go first, so that a flood drives out its own results. And no client keeps more than its share of the
quota.

A sweep may take minutes or be stopped in the middle, while other processes go on saving. So it never acts on what it
saw earlier:

- The cut-off date is taken before anything is read. Files and rows younger than that, less a generous grace period,
  are never candidates for cleaning up.
- Each candidate is looked up again in the database, in the transaction that deletes it or just before its file moves.
- A file without a row is moved to a quarantine and deleted a day later. If its row appears meanwhile, it is moved back.
- A clock that was set back makes files and rows look young, which keeps them. A sweep that finds the clock far from
  the last sweep's date enforces the quota only; the next one, ten minutes later, trusts the clock again.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta

import sqlalchemy as sa

from inkling.config import Settings
from inkling.storage import private
from inkling.storage.blobs import KEY, QUARANTINE, Blob
from inkling.storage.database import AT_ONCE, portions
from inkling.storage.errors import StoreError, store_errors
from inkling.storage.locks import only_one
from inkling.storage.records import ResultRow, UsageRow, now
from inkling.storage.store import Storage, disk_space, picture_key

log = logging.getLogger("inkling.retention")

GRACE = timedelta(hours=1)  # a result may be half written for this long
QUARANTINE_PERIOD = timedelta(days=1)
LOW_WATER = 0.9  # share of the quota that is left once it was exceeded, so that not every upload exceeds it again
STEPS = 100  # in which the quota is divided to compare what clients hold
CLOCK_JUMP = timedelta(days=1)  # between two sweeps; the server was off, or the clock is wrong

POLL_SECONDS = 2.0  # between two checks of a worker
SWEEP_SECONDS = 600.0  # between two sweeps
QUOTA_SHARE = 50  # a worker enforces the quota earlier once it has written this fraction of it


@dataclass(frozen=True)
class Pruned:
    """What one sweep removed, and the number and size of the remaining results."""

    expired: int  # results deleted for their age
    hidden: int  # results deleted ten minutes after a visitor did so
    over_quota: int  # results deleted for the quota
    without_picture: int  # results deleted because their picture was gone
    quarantined: int  # files without a result, moved to the quarantine
    empty_batches: int  # batches deleted because they had no result left
    results: int  # left
    bytes: int  # left, database included

    @property
    def changed(self) -> bool:
        """Whether anything was deleted or moved."""
        return any(
            (self.expired, self.hidden, self.over_quota, self.without_picture, self.quarantined, self.empty_batches)
        )


def prune(storage: Storage, settings: Settings, careful: bool = False) -> Pruned | None:
    """Sweeps once; returns None if another process is sweeping, on any machine that shares the database.

    Args:
        careful: for sweeps in the background. Does nothing if another worker swept a few minutes ago. Distrusts the
            clock after a jump. Leaves everything that does not fit together where most files have no row, or most rows
            no file: then the folder or the database is probably the wrong one.

    Raises:
        StoreError: the database or the folder cannot be used.
    """
    with _alone(storage, settings) as alone:
        return _Sweep(storage, settings, careful).run() if alone else None


def enforce_quota(storage: Storage, settings: Settings) -> int:
    """Deletes results beyond the quota or a client's share, if no other process is sweeping; returns how many.

    Raises:
        StoreError: the database or the folder cannot be used.
    """
    with _alone(storage, settings) as alone:
        return _Sweep(storage, settings, careful=True).delete_over_quota() if alone else 0


@contextmanager
def _alone(storage: Storage, settings: Settings) -> Iterator[bool]:
    """Yields whether no other process sweeps. The workers of a machine agree first, then the machines."""
    with store_errors():
        private.make_folder(settings.pictures)
    with only_one(settings.pictures) as lock:
        if lock is None:
            yield False
            return
        with storage.database.only_one("sweep") as alone:
            yield alone


@dataclass
class _Inventory:
    """The files of one pass over the blobs. It only nominates candidates; nothing is deleted by it alone."""

    with_picture: set[str] = field(default_factory=set)  # ids
    sizes: dict[str, int] = field(default_factory=dict)  # id -> bytes, of results whose size is not in the database
    strays: list[str] = field(default_factory=list)  # keys of old files without a row
    quarantined: list[Blob] = field(default_factory=list)
    matched: int = 0  # files that have a row


class _Sweep:
    def __init__(self, storage: Storage, settings: Settings, careful: bool):
        self._storage, self._settings, self._careful = storage, settings, careful
        self._blobs, self._database = storage.blobs, storage.database
        self._began = now()  # before anything is read
        self._cutoff = self._began - GRACE
        self._batches = 0  # deleted with their last result

    def run(self) -> Pruned | None:
        """The whole sweep; None if it is too early for one."""
        since = self._time_since_last_sweep()
        if self._careful and since and abs(since) < timedelta(seconds=SWEEP_SECONDS) / 2:
            return None
        expired = without_picture = quarantined = empty_batches = 0
        hidden = self._storage.delete_hidden()
        if self._careful and since and abs(since) > CLOCK_JUMP:
            log.warning("the last sweep was %s ago: only the quota is enforced now", since)
            over_quota = self.delete_over_quota()
        else:
            with store_errors():
                inventory = self._take_inventory()
                lost = self._rows_without_picture(inventory.with_picture)
                self._fill_sizes(inventory.sizes)
                if trusted := self._is_trusted(inventory, len(lost)):
                    self._restore(inventory.quarantined)
                    without_picture = self._delete_lost(lost)
                expired = self._delete_expired()
                empty_batches = self._storage.delete_empty_batches(self._cutoff)
                over_quota = self.delete_over_quota()
                if trusted:
                    quarantined = self._quarantine(inventory.strays)
                    self._empty_quarantine(inventory.quarantined)
        with suppress(StoreError):  # it needs a moment without writers, and free space
            self._database.shrink()
        results, size = self._note_usage()
        empty_batches += self._batches
        return Pruned(expired, hidden, over_quota, without_picture, quarantined, empty_batches, results, size)

    def delete_over_quota(self) -> int:
        """Deletes some results at a time; the size is measured again after each portion."""
        quota, total = self._settings.quota_mb * 2**20, 0
        if not quota or self._size() <= quota * self._settings.client_share // 100:
            return 0  # no client can hold more than all together
        while deleted := self._delete(self._beyond_share(quota)):
            total += deleted
        if self._size() <= quota:
            return total
        while (excess := self._size() - LOW_WATER * quota) > 0:
            deleted = self._delete(self._heaviest(quota, excess))
            if not deleted:
                break
            total += deleted
        return total

    def _time_since_last_sweep(self) -> timedelta | None:
        with self._database.reading() as session:
            before = session.scalar(sa.select(UsageRow.swept))
        return before and self._began - before

    # ---- Candidates ----

    def _take_inventory(self) -> _Inventory:
        inventory = _Inventory()
        for blobs in portions(self._blobs.iterate(), AT_ONCE):
            parsed = [(blob, KEY.fullmatch(blob.key)) for blob in blobs]
            ids = {match[1] for _, match in parsed if match}
            with self._database.reading() as session:
                query = sa.select(ResultRow.id, ResultRow.bytes).where(ResultRow.id.in_(ids))
                known = {row.id: row.bytes for row in session.execute(query)}
            for blob, match in parsed:
                if blob.key.startswith(QUARANTINE):
                    inventory.quarantined.append(blob)
                elif match and match[1] in known:
                    inventory.matched += 1
                    if match[2] in ("jpg", "png") and blob.size:  # a power cut leaves empty files
                        inventory.with_picture.add(match[1])
                    if known[match[1]] is None:
                        inventory.sizes[match[1]] = inventory.sizes.get(match[1], 0) + disk_space(blob.size)
                elif blob.modified < self._cutoff:
                    inventory.strays.append(blob.key)
        return inventory

    def _rows_without_picture(self, with_picture: set[str]) -> list[str]:
        with self._database.reading() as session:
            query = sa.select(ResultRow.id).where(ResultRow.created < self._cutoff)
            ids = session.scalars(query.execution_options(yield_per=AT_ONCE))
            return [id for id in ids if id not in with_picture]

    def _is_trusted(self, inventory: _Inventory, lost: int) -> bool:
        strays = len(inventory.strays)
        if not self._careful or inventory.matched > max(strays, lost):
            return True
        if strays or lost:
            log.warning(
                "not cleaning up: %d files have no row, %d rows have no picture, and only %d files have a row; "
                "is this the right folder and the right database?",
                strays,
                lost,
                inventory.matched,
            )
        return False

    def _fill_sizes(self, sizes: dict[str, int]) -> None:
        """Writes the sizes of results from before they were noted."""
        unknown = (ResultRow.id == sa.bindparam("key"), ResultRow.bytes.is_(None))
        change = sa.update(ResultRow).where(*unknown).values(bytes=sa.bindparam("size"))
        for some in portions(sizes.items(), AT_ONCE):
            with self._database.writing() as session:
                session.connection().execute(change, [{"key": id, "size": size} for id, size in some])

    # ---- Deletions ----

    def _delete(self, ids: list[str], *conditions: sa.ColumnElement[bool]) -> int:
        deleted = self._storage.delete_where(ids, *conditions)
        self._batches += deleted.batches
        return deleted.results

    def _delete_lost(self, candidates: list[str]) -> int:
        """Deletes results whose picture is still gone."""
        with self._database.reading() as session:
            kinds = [
                row
                for some in portions(candidates, AT_ONCE)
                for row in session.execute(sa.select(ResultRow.id, ResultRow.suffix).where(ResultRow.id.in_(some)))
            ]
        lost = [row.id for row in kinds if not self._blobs.size(picture_key(row.id, row.suffix))]
        return self._delete(lost, ResultRow.created < self._cutoff)

    def _delete_expired(self) -> int:
        if not self._settings.retention_days:
            return 0
        expired = (
            ResultRow.created < self._began - timedelta(days=self._settings.retention_days),
            ResultRow.correction.is_(None),
        )
        total = 0
        while ids := self._ids(*expired):
            deleted = self._delete(ids, *expired)  # asks again: a visitor may have corrected one
            if not deleted:
                break
            total += deleted
        return total

    def _beyond_share(self, quota: int) -> list[str]:
        """Results that take a client beyond its share of the quota, its oldest ones. Unknown clients have no share."""
        if self._settings.client_share == 100:
            return []
        held = self._held()
        beyond = held.c.client.is_not(None), held.c.held > quota * self._settings.client_share // 100
        with self._database.reading() as session:
            return list(session.scalars(sa.select(held.c.id).where(*beyond).limit(AT_ONCE)))

    def _heaviest(self, quota: int, excess: float) -> list[str]:
        """Results that together take as much as `excess` bytes, in the order in which they must go.

        The heaviest client loses its oldest results until it holds as much as the next one, and so on. Weights are
        rounded down to `STEPS` of the quota. So among clients that hold little, the oldest results go first, and a
        visitor with three photos does not go before a thousand clients with one each.
        """
        held = self._held()
        step = sa.cast(held.c.held, sa.BigInteger) // max(1, quota // STEPS)
        query = sa.select(held.c.id, held.c.size).order_by(step.desc(), held.c.created, held.c.id).limit(AT_ONCE)
        ids = []
        with self._database.reading() as session:
            for row in session.execute(query):
                if excess <= 0:
                    break
                ids.append(row.id)
                excess -= row.size
        return ids

    def _held(self) -> sa.Subquery:
        """All results with their `size` and what their client holds of them and its younger results (`held`), in bytes.

        A result's part of the database counts.
        """
        with self._database.reading() as session:
            results = session.scalars(sa.select(sa.func.count(ResultRow.id))).one()
        size = sa.func.coalesce(ResultRow.bytes, 0) + self._storage.database_bytes() // max(1, results)
        younger = ResultRow.created.desc(), ResultRow.id.desc()
        held = sa.func.sum(size).over(partition_by=ResultRow.client, order_by=younger)
        columns = ResultRow.id, ResultRow.created, ResultRow.client, size.label("size"), held.label("held")
        return sa.select(*columns).subquery()

    def _ids(self, *conditions: sa.ColumnElement[bool]) -> list[str]:
        with self._database.reading() as session:
            return list(session.scalars(sa.select(ResultRow.id).where(*conditions).limit(AT_ONCE)))

    # ---- Quarantine ----

    def _quarantine(self, keys: list[str]) -> int:
        """Moves files aside that still have no row; returns how many."""
        count = 0
        for key in keys:
            if not self._has_row(key):
                self._blobs.move(key, QUARANTINE + key)
                count += 1
        return count

    def _restore(self, blobs: list[Blob]) -> None:
        """Moves files back whose row has appeared."""
        for blob in blobs:
            key = blob.key.removeprefix(QUARANTINE)
            if self._has_row(key) and not self._blobs.size(key):
                self._blobs.move(blob.key, key)
                log.warning("a file was moved back from the quarantine")

    def _empty_quarantine(self, blobs: list[Blob]) -> None:
        old = self._began - QUARANTINE_PERIOD
        self._blobs.delete(blob.key for blob in blobs if blob.modified < old)

    def _has_row(self, key: str) -> bool:
        match = KEY.fullmatch(key)
        return bool(match and self._ids(ResultRow.id == match[1]))

    # ---- Size ----

    def _size(self) -> int:
        with self._database.reading() as session:
            files = session.scalar(sa.select(sa.func.sum(ResultRow.bytes))) or 0
        return files + self._storage.database_bytes()

    def _note_usage(self) -> tuple[int, int]:
        """Corrects the size that `Storage.saved_bytes` returns; returns the number of results and the size."""
        files = sa.select(sa.func.coalesce(sa.func.sum(ResultRow.bytes), 0)).scalar_subquery()
        with self._database.writing() as session:
            session.execute(sa.update(UsageRow).values(bytes=files, swept=self._began))
            results = session.scalars(sa.select(sa.func.count(ResultRow.id))).one()
        return results, self._storage.saved_bytes()


class Housekeeper:
    """A background thread that sweeps every ten minutes, and earlier if this worker has written much."""

    def __init__(self, storage: Storage, settings: Settings):
        self._storage, self._settings = storage, settings
        self.running = False  # in this process
        self._swept_at = 0.0
        self._written_before = 0  # bytes, at the last sweep

    def start(self, after: Callable[[], None]) -> None:
        """Starts the thread, which calls `look` and then `after` every two seconds."""
        self.running = True
        threading.Thread(target=self._run, args=(after,), name="housekeeper", daemon=True).start()

    def _run(self, after: Callable[[], None]) -> None:
        while True:
            try:
                self.look()
                after()
            except Exception:  # nobody would start the thread again
                log.exception("housekeeping failed")
            time.sleep(POLL_SECONDS)

    def look(self) -> None:
        """Finds out whether results can be saved, so that no visitor waits for that; sweeps if it is time."""
        with suppress(StoreError):  # the storage notes it as its problem
            self._storage.check()
            if self._storage.database.checkpoint_due:
                self._storage.database.checkpoint()
        try:
            self._storage.delete_hidden()
            self._storage.taught.purge()
            if not self._swept_at or time.monotonic() - self._swept_at >= SWEEP_SECONDS:
                self._swept_at, self._written_before = time.monotonic(), self._storage.written_bytes
                done = prune(self._storage, self._settings, careful=True)
                if done and done.changed:
                    log.info("pruned: %s", done)
            elif self._has_written_much():
                self._written_before = self._storage.written_bytes
                if deleted := enforce_quota(self._storage, self._settings):
                    log.info("deleted %d results beyond the quota", deleted)
        except StoreError as error:
            log.warning("not pruned: %s", error)

    def _has_written_much(self) -> bool:
        quota = self._settings.quota_mb * 2**20
        return quota > 0 and self._storage.written_bytes - self._written_before > quota / QUOTA_SHARE
