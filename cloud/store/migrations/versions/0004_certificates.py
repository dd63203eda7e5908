"""What renewing, revoking and exchanging certificates needs to remember, and when boots began."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("device_key", sa.Column("replaces", sa.String(length=43), nullable=True))
    op.add_column("device_key", sa.Column("approved_until", sa.BigInteger(), nullable=True))
    op.create_index(op.f("ix_device_key_replaces"), "device_key", ["replaces"])
    op.add_column("certificate", sa.Column("issuer", sa.String(length=64), nullable=True))
    op.add_column("certificate", sa.Column("revoked_ms", sa.BigInteger(), nullable=True))
    op.add_column("certificate", sa.Column("reason", sa.String(length=40), nullable=True))
    op.create_index(op.f("ix_certificate_keyid"), "certificate", ["keyid"])
    op.add_column("event", sa.Column("boot_id", sa.String(length=200), nullable=True))
    op.add_column("event", sa.Column("mono_ms", sa.BigInteger(), nullable=True))
    op.create_table(
        "boot",
        sa.Column("device_id", sa.String(length=30), nullable=False),
        sa.Column("boot_id", sa.String(length=200), nullable=False),
        sa.Column("began_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_boot_device_id")),
        sa.PrimaryKeyConstraint("device_id", "boot_id", name=op.f("pk_boot")),
    )
    op.create_index(op.f("ix_certificate_sha256"), "certificate", ["sha256"])
    op.create_table(
        "denied_token",
        sa.Column("jti", sa.String(length=64), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("jti", name=op.f("pk_denied_token")),
    )
    op.create_index(op.f("ix_denied_token_expires"), "denied_token", ["expires"])


def downgrade() -> None:
    op.drop_table("boot")
    for column in ("mono_ms", "boot_id"):
        op.drop_column("event", column)
    op.drop_index(op.f("ix_denied_token_expires"), table_name="denied_token")
    op.drop_table("denied_token")
    op.drop_index(op.f("ix_certificate_sha256"), table_name="certificate")
    op.drop_index(op.f("ix_certificate_keyid"), table_name="certificate")
    for column in ("reason", "revoked_ms", "issuer"):
        op.drop_column("certificate", column)
    op.drop_index(op.f("ix_device_key_replaces"), table_name="device_key")
    for column in ("approved_until", "replaces"):
        op.drop_column("device_key", column)
