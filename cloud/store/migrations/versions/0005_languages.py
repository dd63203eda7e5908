"""The language that a person chose for pages and mails."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("account", sa.Column("language", sa.String(length=20), nullable=True))


def downgrade() -> None:
    op.drop_column("account", "language")
