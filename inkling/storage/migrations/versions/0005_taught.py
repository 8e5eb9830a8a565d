"""Taught classifiers: labels, examples with their features, versions, and changes that can be undone."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def _classifier(index: bool = False, primary_key: bool = False) -> sa.Column:
    key = sa.ForeignKey("classifiers.id", ondelete="CASCADE")
    return sa.Column("classifier_id", sa.String(22), key, nullable=False, index=index, primary_key=primary_key)


def upgrade() -> None:
    """Creates the tables."""
    op.create_table(
        "classifiers",
        sa.Column("id", sa.String(22), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False, unique=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False, index=True),
        sa.Column("listed", sa.Boolean(), nullable=False),
        sa.Column("auto", sa.Boolean(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("live", sa.Integer()),
        sa.Column("newest", sa.Integer()),
        sa.Column("due", sa.DateTime(timezone=True), index=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("stage", sa.String(16)),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
    )
    op.create_table(
        "classifier_labels",
        sa.Column("id", sa.Integer(), primary_key=True),
        _classifier(index=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("removed", sa.String(22)),
    )
    op.create_table(
        "examples",
        sa.Column("id", sa.String(22), primary_key=True),
        _classifier(),
        sa.Column("label_id", sa.Integer(), sa.ForeignKey("classifier_labels.id", ondelete="SET NULL"), index=True),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("removed", sa.String(22), index=True),
    )
    op.create_index("ix_examples_order", "examples", ["classifier_id", "created", "id"])
    op.create_index("ix_examples_digest", "examples", ["classifier_id", "digest"])
    op.create_table(
        "example_features",
        sa.Column("example_id", sa.String(22), sa.ForeignKey("examples.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("backbone", sa.String(64), primary_key=True),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "classifier_versions",
        _classifier(primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("backbone", sa.String(64), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("examples", sa.JSON(), nullable=False),
        sa.Column("report", sa.LargeBinary(), nullable=False),
        sa.Column("card", sa.JSON(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("better", sa.Boolean()),
    )
    op.create_table(
        "example_changes",
        sa.Column("id", sa.String(22), primary_key=True),
        _classifier(index=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False, index=True),
        sa.Column("moved", sa.JSON(), nullable=False),
    )
