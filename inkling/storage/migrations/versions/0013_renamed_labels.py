"""The name that a label had before a change."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Adds the column. Renamings from before cannot be undone."""
    op.add_column("example_changes", sa.Column("renamed", sa.JSON))
