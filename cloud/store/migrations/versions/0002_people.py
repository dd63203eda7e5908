"""People: administrators and suspended accounts; where and about which station a security event was."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "account", sa.Column("administrator", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("account", sa.Column("suspended", sa.BigInteger(), nullable=True))
    op.add_column("audit", sa.Column("address", sa.String(length=64), nullable=True))
    op.add_column("audit", sa.Column("device_id", sa.String(length=30), nullable=True))
    op.create_index("ix_audit_device_id", "audit", ["device_id"], unique=False)
    op.create_index("ix_audit_actor", "audit", ["actor"], unique=False)
