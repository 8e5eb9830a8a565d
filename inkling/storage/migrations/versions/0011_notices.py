"""Webhooks, the messages that wait for them, and the states of sources."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Creates the tables."""
    date = sa.DateTime(timezone=True)
    op.create_table(
        "webhooks",
        sa.Column(
            "classifier_id", sa.String(22), sa.ForeignKey("classifiers.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("secret", sa.String(64), nullable=False),
        sa.Column("events", sa.String(8), nullable=False),
        sa.Column("failure", sa.Text, nullable=False),
    )
    hook = sa.ForeignKey("webhooks.classifier_id", ondelete="CASCADE")
    op.create_table(
        "webhook_messages",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("classifier_id", sa.String(22), hook, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due", date, nullable=False),
    )
    op.create_index("ix_webhook_messages_classifier_id", "webhook_messages", ["classifier_id"])
    op.create_index("ix_webhook_messages_due", "webhook_messages", ["due"])
    op.create_table(
        "sources",
        sa.Column("model", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("candidate", sa.Text, nullable=False),
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("about", sa.JSON, nullable=False),
        sa.Column("picture", sa.LargeBinary),
        sa.Column("changed", date, nullable=False),
        sa.Column("published", sa.Boolean, nullable=False),
    )
