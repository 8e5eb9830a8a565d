"""Entries of batches as rows, a wording for every result, sizes, and time-zone-aware dates."""

from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

PROBABLY = 0.75  # the confidence from which an answer that was not sure was called "probably" at this revision
AT_ONCE = 500  # rows held in memory

results = sa.table(
    "predictions",
    sa.column("id"),
    sa.column("sure", sa.Boolean),
    sa.column("wording"),
    sa.column("strange", sa.Boolean),
    sa.column("predictions", sa.JSON),
)
batches = sa.table("batches", sa.column("id"), sa.column("entries", sa.JSON))


def upgrade() -> None:
    """Changes the tables and moves the entries."""
    _fill_wordings()
    # Batch mode copies the table, which counts as deleting its rows: it must come before a foreign key refers to them.
    with op.batch_alter_table("predictions") as table:
        table.alter_column("task", existing_type=sa.String(16), type_=sa.String(64), existing_nullable=False)
        table.alter_column("wording", existing_type=sa.String(8), nullable=False)
        table.add_column(sa.Column("strange", sa.Boolean(), nullable=False, server_default=sa.false()))
        table.add_column(sa.Column("bytes", sa.Integer()))
        table.drop_column("batch")
    op.create_index("ix_predictions_created", "predictions", ["created", "id", "bytes"])
    _mark_strange()
    entries = op.create_table(
        "batch_entries",
        sa.Column("batch_id", sa.String(22), sa.ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("result_id", sa.String(22), sa.ForeignKey("predictions.id", ondelete="SET NULL"), unique=True),
        sa.Column("reason", sa.String(32)),
        sa.Column("received", sa.Text(), nullable=False),
    )
    _move_entries(entries)
    op.drop_column("batches", "entries")
    if op.get_context().dialect.name == "postgresql":  # SQLite has no type for it
        for table_name in ("predictions", "batches"):
            op.alter_column(
                table_name,
                "created",
                existing_type=sa.DateTime(),
                type_=sa.DateTime(timezone=True),
                existing_nullable=False,
                postgresql_using="created AT TIME ZONE 'UTC'",
            )
    usage = op.create_table(
        "usage",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("swept", sa.DateTime(timezone=True)),
    )
    op.bulk_insert(usage, [{"id": 1, "bytes": 0}])


def _portions(
    id: sa.ColumnClause, *columns: sa.ColumnClause, where: sa.ColumnElement | None = None
) -> Iterator[Sequence[sa.Row]]:
    """Yields rows in portions, by their ids: the table may be changed meanwhile."""
    query, last = sa.select(id, *columns).where(sa.true() if where is None else where).order_by(id).limit(AT_ONCE), ""
    while rows := op.get_bind().execute(query.where(id > last)).all():
        last = rows[-1].id
        yield rows


def _fill_wordings() -> None:
    change = results.update().where(results.c.id == sa.bindparam("key")).values(wording=sa.bindparam("value"))
    for rows in _portions(results.c.id, results.c.sure, results.c.predictions, where=results.c.wording.is_(None)):
        values = [{"key": row.id, "value": _wording(row.sure, row.predictions[0][1])} for row in rows]
        op.get_bind().execute(change, values)


def _wording(sure: bool, confidence: float) -> str:
    return "sure" if sure else "probably" if confidence >= PROBABLY else "not sure"


def _mark_strange() -> None:
    """An answer this strong can only have been "not sure" because the picture was unlike what the model learned."""
    for rows in _portions(results.c.id, results.c.predictions, where=results.c.wording == "not sure"):
        strange = [row.id for row in rows if row.predictions[0][1] >= PROBABLY]
        op.get_bind().execute(results.update().where(results.c.id.in_(strange)).values(strange=True))


def _move_entries(entries: sa.Table) -> None:
    """Turns the JSON entries into rows; batches without a result that is still there are deleted."""
    connection = op.get_bind()
    for rows in _portions(batches.c.id, batches.c.entries):
        sent = [entry["result"] for row in rows for entry in row.entries if entry.get("result")]
        present = set()
        for start in range(0, len(sent), AT_ONCE):
            some = sent[start : start + AT_ONCE]
            present |= set(connection.scalars(sa.select(results.c.id).where(results.c.id.in_(some))))
        remaining = {
            row.id: row.entries for row in rows if any(entry.get("result") in present for entry in row.entries)
        }
        gone = [row.id for row in rows if row.id not in remaining]
        connection.execute(batches.delete().where(batches.c.id.in_(gone)))
        values = [
            _values(id, position, entry, present) for id in remaining for position, entry in enumerate(remaining[id])
        ]
        if values:
            connection.execute(entries.insert(), values)


def _values(batch: str, position: int, entry: dict, present: set[str]) -> dict:
    """The columns of an entry; the name of one whose result was deleted is left out."""
    result = entry["result"] if entry.get("result") in present else None
    return {
        "batch_id": batch,
        "position": position,
        "name": entry["name"] if result or entry.get("reason") else "",
        "result_id": result,
        "reason": entry.get("reason"),
        "received": entry.get("received") or "",
    }
