"""People: sharing, administrators, suspended accounts; address and station of security events."""

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
    _sharing()


def _sharing() -> None:
    op.create_table(
        "share",
        sa.Column("device_id", sa.String(length=30), nullable=False),
        sa.Column("account_id", sa.String(length=30), nullable=False),
        sa.Column("role", sa.String(length=10), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("role IN ('technician', 'viewer')", name=op.f("ck_share_role")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_share_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["device_id"], ["device.id"], name=op.f("fk_share_device_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("device_id", "account_id", name=op.f("pk_share")),
    )
    op.create_index("ix_share_account_id", "share", ["account_id"], unique=False)
    op.create_table(
        "invitation",
        sa.Column("id", sa.String(length=30), nullable=False),
        sa.Column("device_id", sa.String(length=30), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("role", sa.String(length=10), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("role IN ('technician', 'viewer')", name=op.f("ck_invitation_role")),
        sa.ForeignKeyConstraint(
            ["device_id"], ["device.id"], name=op.f("fk_invitation_device_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitation")),
        sa.UniqueConstraint("device_id", "email", name=op.f("uq_invitation_device_id_email")),
    )
    op.create_index("ix_invitation_email", "invitation", ["email"], unique=False)
    op.create_index("ix_invitation_expires", "invitation", ["expires"], unique=False)
