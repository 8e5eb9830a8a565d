"""What is kept stays within its age and its room: by `flask prune`, and by a thread of each worker.

Results older than the retention go, but for those of which a visitor said what is right: that says, keep it. Beyond
the quota the oldest results go, whatever was said of them: else whoever corrects enough would leave no room for others.
What a crash left behind goes too: files without a row, and rows whose picture is gone.
"""

import fcntl
import json
import logging
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from inkling.batches import BatchRow
from inkling.config import Settings
from inkling.storage.store import PICTURE, Row, Store, StoreError, now

log = logging.getLogger("inkling.prune")

ROOMY = 0.9  # of the quota, what is left once it was exceeded: else each save would have to clear up
WRITTEN = 60.0  # seconds after which a file without a row is not one that is being written
EMPTY = timedelta(hours=1)  # from its beginning, that a page of several stays without a picture left: it says why
SKEW = timedelta(minutes=1)  # that clocks may differ
AT_ONCE = 500  # results removed in one transaction
PIECEMEAL = {"yield_per": 500}  # rows that are held at once, of those with much in them
LOOK = 2.0  # seconds between two looks of a worker at what it has written
EVERY = 600.0  # seconds between two prunings of a worker
SETTLED = 600.0  # seconds that a machine has been up: some start with a clock that is far off
SHARE = 50  # of the quota, a fiftieth: what a worker may write before it prunes earlier

DRAFT = re.compile(rf"\.(?:{PICTURE.pattern}\.[0-9a-f]{{8}}\.part|secret-key\.[0-9a-f]{{16}})", re.ASCII)


@dataclass(frozen=True)
class Pruned:
    """What was removed, and what is left."""

    old: int  # results beyond the retention
    crowded: int  # results beyond the quota
    lost: int  # results whose picture was gone
    strays: int  # files without a result
    empty: int  # pages of several that have no picture left
    results: int  # left
    bytes: int  # left, database included


@dataclass(frozen=True, slots=True)
class File:
    """A file of ours in the pictures' folder; `id` is None for one that was never finished."""

    path: str
    id: str | None
    picture: bool  # not what the model saw, nor a heat map
    bytes: int
    room: int  # bytes that it takes on the disk, which are more
    written: float  # by the clock on the wall, as everything in a file system


def prune(store: Store, settings: Settings, careful: bool = False, ages: bool = True) -> Pruned | None:
    """Removes what is too old, too much, or left behind by a crash; None where another process is just doing that.

    Args:
        careful: lost results and stray files stay where no file has a row and no row a file: then it is more likely
            that the folder, or the database, is not the right one.
        ages: whether the clock is to be trusted; else nothing is too old.

    Raises:
        StoreError: the database or the folder cannot be used.
    """
    store.database_bytes()  # opens the database, and makes the folder
    with _alone(settings.pictures) as alone:
        return _prune(store, settings, careful, ages) if alone else None


def _prune(store: Store, settings: Settings, careful: bool, ages: bool) -> Pruned:
    today = now()
    if ages:
        _mend_dates(store, today)
    with store.session() as session:  # before the folder: a row's files are there before it is
        rows = session.execute(
            sa.select(Row.id, Row.created, Row.correction.is_not(None).label("said")).order_by(Row.created, Row.id)
        ).all()
    # A quota's worth of small results are hundreds of thousands: of each file no more is held than is needed.
    sizes, strays = dict.fromkeys((row.id for row in rows), 0), []
    bare = set(sizes)
    for file in _files(settings.pictures):
        if file.id in sizes:
            sizes[file.id] += file.room
            if file.picture and file.bytes:  # none after a power cut
                bare.discard(file.id)
        elif abs(time.time() - file.written) > WRITTEN:
            strays.append(file.path)
    tidy = len(bare) < len(rows) or not careful
    lost = [row.id for row in rows if row.id in bare] if tidy else []
    strays = strays if tidy else []
    oldest = today - timedelta(days=settings.retention_days) if settings.retention_days and ages else datetime.min
    old = [row.id for row in rows if row.created < oldest and not row.said and row.id not in bare]

    _remove(store, [*lost, *old])
    for path in strays:
        Path(path).unlink(missing_ok=True)
    for id in (*lost, *old):
        del sizes[id]
    empty = _empty(store, today)
    pages = _pages(store, sizes)
    crowded = _beyond(
        {id: size + pages[id] for id, size in sizes.items()},
        store.database_bytes() - pages.total(),
        settings.quota_mb * 2**20,
    )
    _remove(store, crowded)
    if crowded:  # pages from before what stays have no picture any more
        stay = sizes.keys() - set(crowded)
        empty += _empty(store, EMPTY + next((row.created for row in rows if row.id in stay), today))
    with suppress(StoreError):  # it takes a moment without writers, and room
        store.shrink()
    left = store.database_bytes() + sum(sizes.values()) - sum(sizes[id] for id in crowded)
    return Pruned(len(old), len(crowded), len(lost), len(strays), empty, len(sizes) - len(crowded), left)


def _mend_dates(store: Store, today: datetime) -> None:
    """Where the clock was set back, what is dated after today is moved before it, by as much as the newest is off: its
    order and its ages stay."""
    with store.session() as session:
        for table in (Row, BatchRow):
            ahead = session.scalars(sa.select(table).where(table.created > today + SKEW)).all()
            if ahead:
                shift = max(row.created for row in ahead) - today
                for row in ahead:
                    row.created -= shift


def _files(folder: Path) -> Iterator[File]:
    with os.scandir(folder) as entries:
        for entry in entries:
            picture = PICTURE.fullmatch(entry.name)
            if picture or DRAFT.fullmatch(entry.name):
                try:
                    stat = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # deleted meanwhile
                    continue
                yield File(
                    entry.path,
                    picture and picture[1],
                    bool(picture) and entry.name.count(".") == 1,
                    stat.st_size,
                    max(stat.st_size, 512 * stat.st_blocks),
                    stat.st_mtime,
                )


def _beyond(sizes: dict[str, int], database: int, quota: int) -> list[str]:
    """The results to remove, of `sizes` from the oldest on, so that all that is left is `ROOMY`."""
    total, ids = database + sum(sizes.values()), []
    if not quota or total <= quota:
        return ids
    for id, size in sizes.items():
        if total <= ROOMY * quota:
            break
        total -= size
        ids.append(id)
    return ids


def _pages(store: Store, sizes: dict[str, int]) -> Counter[str]:
    """Bytes that the pages of several take in the database, by the newest of their results, with which they go.

    Args:
        sizes: of the results, the oldest first.
    """
    age, bytes = {id: i for i, id in enumerate(sizes)}, Counter()
    with store.session() as session:
        for entries in session.scalars(sa.select(BatchRow.entries), execution_options=PIECEMEAL):
            there = [entry["result"] for entry in entries if entry["result"] in age]
            if there:
                bytes[max(there, key=age.get)] += len(json.dumps(entries))
    return bytes


def _remove(store: Store, ids: Sequence[str]) -> None:
    for start in range(0, len(ids), AT_ONCE):
        store.delete(*ids[start : start + AT_ONCE])


def _empty(store: Store, today: datetime) -> int:
    """Removes the pages of several that have no result left; returns how many."""
    with store.session() as session:
        old = set(session.scalars(sa.select(BatchRow.id).where(BatchRow.created < today - EMPTY)))
        kept = set(session.scalars(sa.select(Row.id)))  # after the pages, whose results are there before them
        pages = session.execute(sa.select(BatchRow.id, BatchRow.entries), execution_options=PIECEMEAL)
        empty = [
            page.id for page in pages if page.id in old and not any(entry["result"] in kept for entry in page.entries)
        ]
        for start in range(0, len(empty), AT_ONCE):
            session.execute(sa.delete(BatchRow).where(BatchRow.id.in_(empty[start : start + AT_ONCE])))
    return len(empty)


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether no other process prunes this folder meanwhile. The folder itself is locked, which a full disk allows."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise StoreError(f"the pictures' folder cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)


def settled() -> bool:
    """Whether the machine has been up for long enough to have asked others for the time."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) > SETTLED


class Housekeeper:
    """Prunes in the background, never in a request's way: every ten minutes, and when this worker has written much."""

    def __init__(self, store: Store, settings: Settings):
        self._store, self._settings = store, settings
        self.watches = False  # in this process
        self._pruned_at = 0.0
        self._pruned_when_written = 0

    def start(self, after: Callable[[], None]) -> None:
        """Looks every `LOOK` seconds from now on, and calls `after` each time."""
        self.watches = True
        threading.Thread(target=self._run, args=(after,), name="housekeeper", daemon=True).start()

    def saved_bytes(self) -> int:
        """Size of the pictures' folder, database included."""
        total = 0
        for path in self._settings.pictures.glob("*"):
            with suppress(FileNotFoundError):  # deleted meanwhile
                total += path.stat().st_size
        return total

    def _run(self, after: Callable[[], None]) -> None:
        while True:
            try:
                self.look()
                after()
            except Exception:  # it must go on: nobody would start it again
                log.exception("housekeeping failed")
            time.sleep(LOOK)

    def look(self) -> None:
        """Finds out whether anything can be kept, so that no visitor waits for that; prunes if it is time."""
        with suppress(StoreError):  # which is noted
            self._store.check()
        if not self._due():
            return
        self._pruned_at, self._pruned_when_written = time.monotonic(), self._store.written
        try:
            done = prune(self._store, self._settings, careful=True, ages=settled())
        except StoreError as error:
            log.warning("not pruned: %s", error)
            return
        if done and done.old + done.crowded + done.lost + done.strays + done.empty:
            log.info("pruned: %s", done)

    def _due(self) -> bool:
        if not self._pruned_at or time.monotonic() - self._pruned_at >= EVERY:
            return True
        written = self._store.written - self._pruned_when_written
        return self._settings.quota_mb > 0 and written > self._settings.quota_mb * 2**20 / SHARE
