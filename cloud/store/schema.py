"""The tables, in portable types. Times are integer milliseconds since 1970 in UTC; secrets are hashes."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_Serial = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only for a column declared INTEGER."""
_Json = JSON(none_as_null=True)


def _one_of(column: str, *words: str) -> CheckConstraint:
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


# --- people -------------------------------------------------------------------------------------------------

account = Table(
    "account",
    metadata,
    Column("id", String(30), primary_key=True),
    Column("email", String(254), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("password_hash", String(255), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("administrator", Boolean, nullable=False, server_default=false()),
    Column("suspended", BigInteger),  # since when; such an account opens nothing
    Column("language", String(20)),  # the tag that the person chose, or none
)

session = Table(
    "session",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("csrf", String(64), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("last_seen", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False, index=True),
    Column("user_agent", String(200), nullable=False, server_default=""),
)

# Links for lost passwords, by the hash of their secret.
password_reset = Table(
    "password_reset",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False, index=True),
)

api_token = Table(
    "api_token",
    metadata,
    Column("id", String(30), primary_key=True),
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("name", String(80), nullable=False),
    Column("scopes", String(80), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger),
    Column("last_used", BigInteger),
    Column("last_address", String(64)),
)

# Who used up how much of what, by purpose and caller (`cloud.security.limit_store`).
limit_bucket = Table(
    "limit_bucket",
    metadata,
    Column("purpose", String(20), primary_key=True),
    Column("key", String(80), primary_key=True),
    Column("tokens", Float, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("full", BigInteger, nullable=False, index=True),
    Column("rate_count", Integer, nullable=False),
    Column("rate_seconds", Integer, nullable=False),
    Column("rate_burst", Integer, nullable=False),
    Column("strikes", Integer, nullable=False, server_default="0"),
    Column("struck", BigInteger),
    Column("blocked", BigInteger),
)

# --- devices and their keys ---------------------------------------------------------------------------------

device = Table(
    "device",
    metadata,
    Column("id", String(30), primary_key=True),
    Column("account_id", ForeignKey("account.id"), nullable=False, index=True),
    Column("epoch", Integer, nullable=False),
    Column("hardware_id", String(80), nullable=False, index=True),  # a name, not a proof: never unique
    Column("short_id", String(6), nullable=False),
    Column("name", String(80), nullable=False),
    Column("location", _Json),
    Column("info", _Json),
    Column("fingerprint", _Json),
    Column("network", _Json),
    Column("status", String(10), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("state", String(40)),
    Column("reported", _Json),
    Column("last_seen_ms", BigInteger),
    Column("next_expected_ms", BigInteger),
    Column("boot_counter", BigInteger, nullable=False, server_default="-1"),
    Column("heartbeat_seq", BigInteger, nullable=False, server_default="-1"),
    Column("config_version_reported", Integer, nullable=False, server_default="0"),
    Column("config_error", String(200)),
    Column("first_operational_ms", BigInteger),
    Column("released_ms", BigInteger),
    Column("clone_ms", BigInteger),  # when two keys of this hardware were last seen to talk
    _one_of("status", "active", "suspended", "released"),
)

share = Table(
    "share",
    metadata,
    Column("device_id", ForeignKey("device.id", ondelete="CASCADE"), primary_key=True),
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("role", String(10), nullable=False),
    Column("created", BigInteger, nullable=False),
    _one_of("role", "technician", "viewer"),
)

invitation = Table(
    "invitation",
    metadata,
    Column("id", String(30), primary_key=True),
    Column("device_id", ForeignKey("device.id", ondelete="CASCADE"), nullable=False),
    Column("email", String(254), nullable=False, index=True),
    Column("role", String(10), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False, index=True),
    UniqueConstraint("device_id", "email"),
    _one_of("role", "technician", "viewer"),
)

device_key = Table(
    "device_key",
    metadata,
    Column("keyid", String(43), primary_key=True),
    Column("device_id", ForeignKey("device.id"), nullable=False, index=True),
    Column("public_key", Text, nullable=False),
    Column("status", String(12), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("first_used", BigInteger),
    Column("replaces", String(43), index=True),  # the key that asked for this one at a renewal
    Column("approved_until", BigInteger),  # until then the owner lets it renew, however late it is
    _one_of("status", "active", "superseded", "revoked"),
)

# One row per key that ever signed a request, whether its device is claimed or not.
replay = Table(
    "replay",
    metadata,
    Column("keyid", String(43), primary_key=True),
    Column("boot", BigInteger, nullable=False),
    Column("highest", BigInteger, nullable=False),
    Column("bits", String(16), nullable=False),  # 64 bits in hex: no integer type of SQL is unsigned
    Column("used", BigInteger, nullable=False, index=True),
)

certificate = Table(
    "certificate",
    metadata,
    Column("serial", String(40), primary_key=True),
    Column("device_id", ForeignKey("device.id"), nullable=False, index=True),
    Column("keyid", String(43), nullable=False, index=True),
    Column("sha256", String(64), nullable=False, index=True),
    Column("not_before", BigInteger, nullable=False),
    Column("not_after", BigInteger, nullable=False),
    Column("status", String(12), nullable=False),
    Column("pem", Text, nullable=False),
    Column("issuer", String(64)),  # the issuing authority's subject key identifier, in hex
    Column("revoked_ms", BigInteger),
    Column("reason", String(40)),
    _one_of("status", "active", "superseded", "revoked"),
)

# Certificates whose station was deleted, until they would have ended: the list for brokers still names them.
ended_certificate = Table(
    "ended_certificate",
    metadata,
    Column("serial", String(40), primary_key=True),
    Column("issuer", String(64)),
    Column("not_after", BigInteger, nullable=False, index=True),
    Column("revoked_ms", BigInteger, nullable=False),
    Column("reason", String(40)),
)

# Device tokens that are refused before they end by themselves.
denied_token = Table(
    "denied_token",
    metadata,
    Column("jti", String(64), primary_key=True),
    Column("expires", BigInteger, nullable=False, index=True),
)

# --- claims -------------------------------------------------------------------------------------------------

claim = Table(
    "claim",
    metadata,
    Column("id", String(30), primary_key=True),
    Column("mode", String(12), nullable=False),
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), index=True),
    Column("keyid", String(43), index=True),
    Column("short_id", String(6), index=True),
    Column("token_hash", String(64), unique=True),
    Column("pin_mac", String(64)),
    Column("link_mac", String(64)),
    Column("status", String(10), nullable=False),
    Column("progress", Integer, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("error", String(40)),
    Column("error_code", String(8)),
    Column("name", String(80)),
    Column("location", _Json),
    Column("hardware", _Json),
    Column("public_key", Text),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False, index=True),
    Column("completed", BigInteger),
    Column("polled", BigInteger),
    Column("device_id", ForeignKey("device.id")),
    Column("batch_id", String(30), index=True),
    Column("replaces", String(30), index=True),  # the station whose storage this claim's key may replace
    Column("consent", String(5)),  # asked, yes, no
    _one_of("mode", "token", "device_code", "expectation"),
    _one_of("status", "pending", "scanning", "claiming", "success", "expired"),
)

# A key never has two live claims, however requests race.
Index(
    "uq_claim_live_keyid",
    claim.c.keyid,
    unique=True,
    sqlite_where=claim.c.status.in_(("scanning", "claiming")),
    postgresql_where=claim.c.status.in_(("scanning", "claiming")),
)

challenge = Table(
    "challenge",
    metadata,
    Column("id", String(30), primary_key=True),
    Column("claim_id", ForeignKey("claim.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("nonce_hash", String(64), nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("used", Boolean, nullable=False),
)

# --- ownership ----------------------------------------------------------------------------------------------

# What makes a machine itself, as HMACs only: a copied database names no hardware.
fingerprint_component = Table(
    "fingerprint_component",
    metadata,
    Column("device_id", ForeignKey("device.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("mac", String(64), primary_key=True),
    Index("ix_fingerprint_component_kind_mac", "kind", "mac"),
)

transfer = Table(
    "transfer",
    metadata,
    Column("id", String(30), primary_key=True),
    Column("device_id", ForeignKey("device.id"), nullable=False, index=True),
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), nullable=False),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("status", String(10), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("accepted_by", String(30)),
    Column("claim_id", String(30)),
    _one_of("status", "open", "accepted", "withdrawn"),
)

registration = Table(
    "registration",
    metadata,
    Column("id", String(30), primary_key=True),
    Column("kind", String(40), nullable=False),
    Column("claim_id", String(30), nullable=False, index=True),
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), index=True),
    Column("state", String(8), nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("due", BigInteger, nullable=False),
    Column("error", String(200)),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    _one_of("state", "queued", "leased", "done", "dead"),
    Index("ix_registration_state_due", "state", "due"),
)

# --- configuration and commands -----------------------------------------------------------------------------

config = Table(
    "config",
    metadata,
    Column("device_id", ForeignKey("device.id"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("desired", _Json, nullable=False),
    Column("envelope", _Json, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("author", String(40), nullable=False),
)

command = Table(
    "command",
    metadata,
    Column("id", String(30), primary_key=True),
    Column("device_id", ForeignKey("device.id"), nullable=False, index=True),
    Column("author", String(40), nullable=False),
    Column("type", String(40), nullable=False),
    Column("parameters", _Json, nullable=False),
    Column("priority", String(8), nullable=False),
    Column("timeout", Integer, nullable=False),
    Column("state", String(12), nullable=False),
    Column("detail", Text),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    _one_of("state", "QUEUED", "IN_PROGRESS", "SUCCEEDED", "FAILED", "TIMED_OUT", "REJECTED", "CANCELED"),
)

# --- events and media ---------------------------------------------------------------------------------------

_UNSURE = text("boot_id IS NOT NULL")

event = Table(
    "event",
    metadata,
    Column("pk", _Serial, primary_key=True, autoincrement=True),
    Column("device_id", ForeignKey("device.id"), nullable=False),
    Column("event_id", String(36), nullable=False),
    Column("client_event_id", String(200), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("body_sha256", String(64), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("timestamp", String(40), nullable=False),
    Column("event_type", String(40), nullable=False),
    Column("confidence", Float),
    Column("status", String(12), nullable=False),
    Column("boot_id", String(200)),  # with `mono_ms` only where nobody vouched for the station's clock
    Column("mono_ms", BigInteger),
    UniqueConstraint("device_id", "event_id"),
    UniqueConstraint("device_id", "client_event_id", "revision"),
    Index("ix_event_device_id_pk", "device_id", "pk"),
    Index("ix_event_boot", "device_id", "boot_id", sqlite_where=_UNSURE, postgresql_where=_UNSURE),
)

# When each boot of a station began, by the cloud's clock.
boot = Table(
    "boot",
    metadata,
    Column("device_id", ForeignKey("device.id"), primary_key=True),
    Column("boot_id", String(200), primary_key=True),
    Column("began_ms", BigInteger, nullable=False),
)

event_media = Table(
    "event_media",
    metadata,
    Column("event_pk", ForeignKey("event.pk", ondelete="CASCADE"), primary_key=True),
    Column("sha256", String(64), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("mime", String(130), nullable=False),
    Column("name", String(200), nullable=False),
    Column("role", String(200), nullable=False),
    Index("ix_event_media_sha256", "sha256"),
)

media = Table(
    "media",
    metadata,
    Column("device_id", ForeignKey("device.id"), primary_key=True),
    Column("sha256", String(64), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("stored_ms", BigInteger, nullable=False),
)

upload = Table(
    "upload",
    metadata,
    Column("id", String(30), primary_key=True),
    Column("device_id", ForeignKey("device.id"), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("mime", String(130), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False, index=True),
    UniqueConstraint("device_id", "sha256"),
)

# Deleted stations whose files may still lie on the disk.
removal = Table(
    "removal",
    metadata,
    Column("device_id", String(30), primary_key=True),
    Column("since", BigInteger, nullable=False),
)

# --- audit --------------------------------------------------------------------------------------------------

audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(80), nullable=False, index=True),
    Column("action", String(40), nullable=False),
    Column("subject", String(80), nullable=False),
    Column("detail", Text, nullable=False),  # JSON as exact text, because it is hashed
    Column("prev_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("address", String(64)),
    Column("device_id", String(30), index=True),  # no foreign key: the entry outlives the station
)
