"""Which client sent a result, and an index to find what one browser made."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Adds the column. Results from before have no client."""
    op.add_column("predictions", sa.Column("client", sa.String(64)))
    op.create_index("ix_predictions_owner", "predictions", ["owner", "created"])
