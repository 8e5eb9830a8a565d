"""What Auto decided: the answer's group, the route to the model that answered, and the models that were asked."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

results = sa.table("predictions", sa.column("strange", sa.Boolean), sa.column("familiar", sa.Boolean))


def upgrade() -> None:
    """Adds the columns, and replaces `strange` by `familiar`, its opposite."""
    op.add_column("predictions", sa.Column("familiar", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("predictions", sa.Column("group", sa.Text()))
    op.add_column("predictions", sa.Column("route", sa.String(16)))
    op.add_column("predictions", sa.Column("asked", sa.JSON(), nullable=False, server_default="[]"))
    op.get_bind().execute(results.update().where(results.c.strange).values(familiar=sa.false()))
    # Not in batch mode: it copies the table, and deleting the old one would empty the batches by their foreign key.
    op.drop_column("predictions", "strange")
