"""The formats of a result's files, and no more refusals of pictures for their names."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Adds the columns. Before, a stored photo was always a JPEG, and a drawing a PNG."""
    op.add_column("predictions", sa.Column("format", sa.String(8)))
    op.add_column("predictions", sa.Column("suffix", sa.String(4), nullable=False, server_default="jpg"))
    op.execute("UPDATE predictions SET suffix = 'png' WHERE kind = 'drawing'")
    op.execute("UPDATE batch_entries SET reason = 'extension' WHERE reason = 'mismatch'")
