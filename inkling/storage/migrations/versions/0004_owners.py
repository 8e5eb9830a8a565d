"""Who owns a result, and when a visitor deleted it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Adds the columns. Results from before have no owner: they belong to whoever has them in the signed history."""
    op.add_column("predictions", sa.Column("owner", sa.String(64)))
    op.add_column("predictions", sa.Column("hidden", sa.DateTime(timezone=True)))
    op.create_index("ix_predictions_hidden", "predictions", ["hidden"])
