"""The schema from before Alembic: creates it, or completes what an older version made."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# Columns that were added one by one, all of them nullable: a database may lack any of them.
ADDED = {"wording": sa.String(8), "correction": sa.Text(), "batch": sa.String(22)}


def upgrade() -> None:
    """Creates missing tables and adds missing columns."""
    op.create_table(
        "predictions",
        sa.Column("id", sa.String(22), primary_key=True),
        sa.Column("created", sa.DateTime, nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("task", sa.String(16), nullable=False),
        sa.Column("sure", sa.Boolean, nullable=False),
        sa.Column("predictions", sa.JSON, nullable=False),
        sa.Column("milliseconds", sa.JSON, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "batches",
        sa.Column("id", sa.String(22), primary_key=True),
        sa.Column("created", sa.DateTime, nullable=False),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("entries", sa.JSON, nullable=False),
        if_not_exists=True,
    )
    present = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("predictions")}
    for name, type in ADDED.items():
        if name not in present:
            op.add_column("predictions", sa.Column(name, type))
