"""Ownership: release, transfer, replaced storage, batches, and the queue of registrations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("device", sa.Column("released_ms", sa.BigInteger(), nullable=True))
    op.add_column("device", sa.Column("clone_ms", sa.BigInteger(), nullable=True))
    op.add_column("claim", sa.Column("batch_id", sa.String(length=30), nullable=True))
    op.add_column("claim", sa.Column("replaces", sa.String(length=30), nullable=True))
    op.add_column("claim", sa.Column("consent", sa.String(length=5), nullable=True))
    op.create_index("ix_claim_batch_id", "claim", ["batch_id"], unique=False)
    op.create_index("ix_claim_replaces", "claim", ["replaces"], unique=False)
    _components()
    _transfers()
    _registrations()


def _components() -> None:
    op.create_table(
        "fingerprint_component",
        sa.Column("device_id", sa.String(length=30), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("mac", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"],
            ["device.id"],
            name=op.f("fk_fingerprint_component_device_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("device_id", "kind", "mac", name=op.f("pk_fingerprint_component")),
    )
    op.create_index(
        "ix_fingerprint_component_kind_mac", "fingerprint_component", ["kind", "mac"], unique=False
    )


def _transfers() -> None:
    op.create_table(
        "transfer",
        sa.Column("id", sa.String(length=30), nullable=False),
        sa.Column("device_id", sa.String(length=30), nullable=False),
        sa.Column("account_id", sa.String(length=30), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("accepted_by", sa.String(length=30), nullable=True),
        sa.Column("claim_id", sa.String(length=30), nullable=True),
        sa.CheckConstraint("status IN ('open', 'accepted', 'withdrawn')", name=op.f("ck_transfer_status")),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_transfer_device_id")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_transfer_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfer")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_transfer_token_hash")),
    )
    op.create_index("ix_transfer_device_id", "transfer", ["device_id"], unique=False)


def _registrations() -> None:
    op.create_table(
        "registration",
        sa.Column("id", sa.String(length=30), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("claim_id", sa.String(length=30), nullable=False),
        sa.Column("account_id", sa.String(length=30), nullable=True),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.String(length=200), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "state IN ('queued', 'leased', 'done', 'dead')", name=op.f("ck_registration_state")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_registration_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registration")),
    )
    op.create_index("ix_registration_claim_id", "registration", ["claim_id"], unique=False)
    op.create_index("ix_registration_account_id", "registration", ["account_id"], unique=False)
    op.create_index("ix_registration_state_due", "registration", ["state", "due"], unique=False)
