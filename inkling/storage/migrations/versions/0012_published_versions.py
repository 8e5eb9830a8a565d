"""Whether a version of a taught classifier was ever live."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Adds the column. Which versions from before were live is not known, so all of them count as such and are kept."""
    op.add_column("classifier_versions", sa.Column("published", sa.Boolean, nullable=False, server_default=sa.true()))
