"""The figures of a taught classifier's version beside its report, which takes long to read."""

import json
import zlib

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

FIGURES = ("counts", "accuracy", "low", "high", "calibration_error", "sure_share", "sure_accuracy", "seconds")
versions = sa.table(
    "classifier_versions",
    *(sa.column("classifier_id", sa.String), sa.column("number", sa.Integer)),
    *(sa.column("report", sa.LargeBinary), sa.column("figures", sa.JSON)),
)


def upgrade() -> None:
    """Adds the column, and fills it from the reports, one after the other."""
    op.add_column("classifier_versions", sa.Column("figures", sa.JSON(), nullable=False, server_default="{}"))
    connection = op.get_bind()
    for id, number in connection.execute(sa.select(versions.c.classifier_id, versions.c.number)).all():
        this = sa.and_(versions.c.classifier_id == id, versions.c.number == number)
        report = json.loads(zlib.decompress(connection.execute(sa.select(versions.c.report).where(this)).scalar_one()))
        figures = {name: report[name] for name in FIGURES}
        connection.execute(versions.update().where(this).values(figures=figures))
