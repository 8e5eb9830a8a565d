"""What a token may use in a minute and in a day, and what it has used today."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Adds the columns. Tokens from before have no limit of their own."""
    op.add_column("tokens", sa.Column("minute_limit", sa.Integer))
    op.add_column("tokens", sa.Column("day_limit", sa.Integer))
    op.add_column("tokens", sa.Column("day", sa.String(10)))
    op.add_column("tokens", sa.Column("used", sa.BigInteger, nullable=False, server_default="0"))
