"""The first tables: people, devices and keys, claims, configuration, commands, events, media, audit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.String(length=30), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("email", name=op.f("uq_account_email")),
    )
    op.create_table(
        "audit",
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=80), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("prev_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit")),
    )
    op.create_table(
        "replay",
        sa.Column("keyid", sa.String(length=43), nullable=False),
        sa.Column("boot", sa.BigInteger(), nullable=False),
        sa.Column("highest", sa.BigInteger(), nullable=False),
        sa.Column("bits", sa.String(length=16), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("keyid", name=op.f("pk_replay")),
    )
    op.create_index("ix_replay_used", "replay", ["used"], unique=False)
    op.create_table(
        "device",
        sa.Column("id", sa.String(length=30), nullable=False),
        sa.Column("account_id", sa.String(length=30), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("hardware_id", sa.String(length=80), nullable=False),
        sa.Column("short_id", sa.String(length=6), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("location", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("info", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("fingerprint", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("network", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=True),
        sa.Column("reported", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("last_seen_ms", sa.BigInteger(), nullable=True),
        sa.Column("next_expected_ms", sa.BigInteger(), nullable=True),
        sa.Column("boot_counter", sa.BigInteger(), server_default="-1", nullable=False),
        sa.Column("heartbeat_seq", sa.BigInteger(), server_default="-1", nullable=False),
        sa.Column("config_version_reported", sa.Integer(), server_default="0", nullable=False),
        sa.Column("config_error", sa.String(length=200), nullable=True),
        sa.Column("first_operational_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("status IN ('active', 'suspended', 'released')", name=op.f("ck_device_status")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_device_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device")),
    )
    op.create_index("ix_device_account_id", "device", ["account_id"], unique=False)
    op.create_index("ix_device_hardware_id", "device", ["hardware_id"], unique=False)
    op.create_table(
        "session",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=30), nullable=False),
        sa.Column("csrf", sa.String(length=64), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("last_seen", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("user_agent", sa.String(length=200), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_session_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_session")),
    )
    op.create_index("ix_session_account_id", "session", ["account_id"], unique=False)
    op.create_index("ix_session_expires", "session", ["expires"], unique=False)
    op.create_table(
        "certificate",
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("device_id", sa.String(length=30), nullable=False),
        sa.Column("keyid", sa.String(length=43), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("not_after", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("pem", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "status IN ('active', 'superseded', 'revoked')", name=op.f("ck_certificate_status")
        ),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_certificate_device_id")),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_certificate")),
    )
    op.create_index("ix_certificate_device_id", "certificate", ["device_id"], unique=False)
    op.create_table(
        "claim",
        sa.Column("id", sa.String(length=30), nullable=False),
        sa.Column("mode", sa.String(length=12), nullable=False),
        sa.Column("account_id", sa.String(length=30), nullable=True),
        sa.Column("keyid", sa.String(length=43), nullable=True),
        sa.Column("short_id", sa.String(length=6), nullable=True),
        sa.Column("token_hash", sa.String(length=64), nullable=True),
        sa.Column("pin_mac", sa.String(length=64), nullable=True),
        sa.Column("link_mac", sa.String(length=64), nullable=True),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", sa.String(length=40), nullable=True),
        sa.Column("error_code", sa.String(length=8), nullable=True),
        sa.Column("name", sa.String(length=80), nullable=True),
        sa.Column("location", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("hardware", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("public_key", sa.Text(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("completed", sa.BigInteger(), nullable=True),
        sa.Column("polled", sa.BigInteger(), nullable=True),
        sa.Column("device_id", sa.String(length=30), nullable=True),
        sa.CheckConstraint("mode IN ('token', 'device_code', 'expectation')", name=op.f("ck_claim_mode")),
        sa.CheckConstraint(
            "status IN ('pending', 'scanning', 'claiming', 'success', 'expired')",
            name=op.f("ck_claim_status"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_claim_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_claim_device_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_claim")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_claim_token_hash")),
    )
    op.create_index("ix_claim_account_id", "claim", ["account_id"], unique=False)
    op.create_index("ix_claim_expires", "claim", ["expires"], unique=False)
    op.create_index("ix_claim_keyid", "claim", ["keyid"], unique=False)
    op.create_index("ix_claim_short_id", "claim", ["short_id"], unique=False)
    op.create_index(
        "uq_claim_live_keyid",
        "claim",
        ["keyid"],
        unique=True,
        sqlite_where=sa.text("status IN ('scanning', 'claiming')"),
        postgresql_where=sa.text("status IN ('scanning', 'claiming')"),
    )
    op.create_table(
        "command",
        sa.Column("id", sa.String(length=30), nullable=False),
        sa.Column("device_id", sa.String(length=30), nullable=False),
        sa.Column("author", sa.String(length=40), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("parameters", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("priority", sa.String(length=8), nullable=False),
        sa.Column("timeout", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "state IN ('QUEUED', 'IN_PROGRESS', 'SUCCEEDED', 'FAILED', 'TIMED_OUT', 'REJECTED', 'CANCELED')",
            name=op.f("ck_command_state"),
        ),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_command_device_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_command")),
    )
    op.create_index("ix_command_device_id", "command", ["device_id"], unique=False)
    op.create_table(
        "config",
        sa.Column("device_id", sa.String(length=30), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("desired", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("envelope", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("author", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_config_device_id")),
        sa.PrimaryKeyConstraint("device_id", "version", name=op.f("pk_config")),
    )
    op.create_table(
        "device_key",
        sa.Column("keyid", sa.String(length=43), nullable=False),
        sa.Column("device_id", sa.String(length=30), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("first_used", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "status IN ('active', 'superseded', 'revoked')", name=op.f("ck_device_key_status")
        ),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_device_key_device_id")),
        sa.PrimaryKeyConstraint("keyid", name=op.f("pk_device_key")),
    )
    op.create_index("ix_device_key_device_id", "device_key", ["device_id"], unique=False)
    op.create_table(
        "event",
        sa.Column(
            "pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("device_id", sa.String(length=30), nullable=False),
        sa.Column("event_id", sa.String(length=36), nullable=False),
        sa.Column("client_event_id", sa.String(length=200), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("body_sha256", sa.String(length=64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("timestamp", sa.String(length=40), nullable=False),
        sa.Column("event_type", sa.String(length=40), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_event_device_id")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_event")),
        sa.UniqueConstraint(
            "device_id",
            "client_event_id",
            "revision",
            name=op.f("uq_event_device_id_client_event_id_revision"),
        ),
        sa.UniqueConstraint("device_id", "event_id", name=op.f("uq_event_device_id_event_id")),
    )
    op.create_index("ix_event_device_id_pk", "event", ["device_id", "pk"], unique=False)
    op.create_table(
        "media",
        sa.Column("device_id", sa.String(length=30), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("stored_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_media_device_id")),
        sa.PrimaryKeyConstraint("device_id", "sha256", name=op.f("pk_media")),
    )
    op.create_table(
        "upload",
        sa.Column("id", sa.String(length=30), nullable=False),
        sa.Column("device_id", sa.String(length=30), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("mime", sa.String(length=130), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_upload_device_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload")),
        sa.UniqueConstraint("device_id", "sha256", name=op.f("uq_upload_device_id_sha256")),
    )
    op.create_index("ix_upload_expires", "upload", ["expires"], unique=False)
    op.create_table(
        "challenge",
        sa.Column("id", sa.String(length=30), nullable=False),
        sa.Column("claim_id", sa.String(length=30), nullable=False),
        sa.Column("nonce_hash", sa.String(length=64), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["claim_id"], ["claim.id"], name=op.f("fk_challenge_claim_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_challenge")),
    )
    op.create_index("ix_challenge_claim_id", "challenge", ["claim_id"], unique=False)
    op.create_table(
        "event_media",
        sa.Column("event_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mime", sa.String(length=130), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_pk"], ["event.pk"], name=op.f("fk_event_media_event_pk"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("event_pk", "sha256", name=op.f("pk_event_media")),
    )
    op.create_index("ix_event_media_sha256", "event_media", ["sha256"], unique=False)
