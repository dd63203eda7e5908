"""Ended certificates outlive the rows of their station, and the boots of a station can be bounded."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ended_certificate",
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("issuer", sa.String(length=64), nullable=True),
        sa.Column("not_after", sa.BigInteger(), nullable=False),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_ended_certificate")),
    )
    op.create_index(op.f("ix_ended_certificate_not_after"), "ended_certificate", ["not_after"])
    unsure = sa.text("boot_id IS NOT NULL")
    op.create_index(
        "ix_event_boot", "event", ["device_id", "boot_id"], sqlite_where=unsure, postgresql_where=unsure
    )


def downgrade() -> None:
    op.drop_index("ix_event_boot", table_name="event")
    op.drop_index(op.f("ix_ended_certificate_not_after"), table_name="ended_certificate")
    op.drop_table("ended_certificate")
