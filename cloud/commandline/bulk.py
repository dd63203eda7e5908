"""`meteor-cloud preauthorize` and `batch`: lists of stations, for whoever runs the server."""

from __future__ import annotations

import argparse
import asyncio
import csv
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from cloud.app import unix_ms
from cloud.dashboard.bulk import labels
from cloud.dashboard.rendering import Pages
from cloud.dashboard.words import text_to_ms
from cloud.errors import ListRefused
from cloud.registry import batch_file
from cloud.registry.batches import Batches
from cloud.security.limits import Limits
from cloud.security.vault import Vault
from cloud.settings import Settings
from cloud.speaking import load
from cloud.store import people
from cloud.store.engine import Database
from cloud.store.migrate import upgrade
from protocol.batch_messages import BatchRequest, PreauthorizeRequest
from protocol.errors import Refusal
from protocol.vouched import pin_of_pem

T = TypeVar("T")
Add = Callable[..., argparse.ArgumentParser]


def add(commands: Any, command: Add) -> None:
    """Puts both commands into the parser."""
    keys = command(
        commands, "preauthorize", _preauthorize, "let the stations of these keys come without a code"
    )
    batch = command(commands, "batch", _batch, "make one-use claim codes for many stations")
    for parser, columns in ((keys, "keyid,name,location"), (batch, "name,location,device_id")):
        parser.add_argument("list", type=Path, help=f"CSV ({columns}) or JSON; - is standard input")
        parser.add_argument("--owner", required=True, help="e-mail address of the account they are for")
    batch.add_argument("--sheet", type=Path, help="write the labels to print into this HTML file")


def _preauthorize(chosen: argparse.Namespace, settings: Settings) -> int:
    wish = _read(chosen.list, PreauthorizeRequest)
    said = _with(settings, chosen.owner, lambda batches, account: batches.preauthorize(account, wish))
    new = sum(one.state == "added" for one in said.stations)
    print(f"{said.batch_id}: {new} keys expected until {said.expires_at}, {len(said.stations) - new} known.")
    return 0


def _batch(chosen: argparse.Namespace, settings: Settings) -> int:
    wish = _read(chosen.list, BatchRequest)
    made = _with(settings, chosen.owner, lambda batches, account: batches.tokens(account, wish))
    writer = csv.writer(sys.stdout)
    writer.writerow(("name", "claim_id", "claim_token", "qr_text"))
    writer.writerows((one.name or "", one.claim_id, one.claim_token, one.qr_text) for one in made.stations)
    if chosen.sheet is not None:
        until = text_to_ms(made.expires_at) or 0
        pages = Pages()
        shared: dict[str, Any] = {"person": None, "path": "", "live": None, "until_ms": until, "batch": made}
        # A file cannot change its language, so it has that of whoever prints it, and no menu.
        shared |= {"language": load().choose("", system=os.environ.get("LANG", "")), "languages": ()}
        text = pages.render("sheet.html", shared | {"labels": labels(made.stations)})
        sheets = (pages.static[name].body.decode("utf-8") for name in ("style.css", "forms.css"))
        style = "".join(sheets)
        write_alone(chosen.sheet, text.replace("</head>", f"<style>{style}</style>\n</head>"))
        print(f"Labels to print: {chosen.sheet}. Whoever reads the file can use the codes.", file=sys.stderr)
    return 0


def write_alone(path: Path, text: str) -> None:
    """A file that only its owner may read. Raises `ListRefused`."""
    try:
        path.touch(mode=0o600, exist_ok=True)
        path.chmod(0o600)
        path.write_text(text, "utf-8")
    except OSError as error:
        raise ListRefused(f"{path} cannot be written: {error.strerror}.") from None


def _read(path: Path, kind: type[Any]) -> Any:
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text("utf-8-sig")
        return batch_file.read(text, kind)
    except OSError as error:
        raise ListRefused(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ListRefused(f"{path} is not UTF-8.") from None
    except Refusal as refusal:
        raise refused(refusal) from None


def refused(refusal: Refusal) -> ListRefused:
    """A refusal in the words of the command line."""
    return ListRefused(f"{refusal.field or 'The list'}: {refusal.detail}")


def _with(settings: Settings, owner: str, work: Callable[[Batches, str], Awaitable[T]]) -> T:
    """Runs `work` beside a running server or without one. Raises `CloudError`."""
    secrets = Vault(settings.secrets).load()
    database = Database(settings.database)
    try:
        upgrade(database)
        address = owner.strip().lower()
        account = database.read_now(lambda c: people.account_by_email(c, address))
        if account is None:
            raise ListRefused(f"There is no account {owner}.")
        pin = pin_of_pem(secrets.authority.root_pem)
        batches = Batches(database, Limits(), settings.base, pin, unix_ms)
        return asyncio.run(_run(work, batches, account.id))
    except Refusal as refusal:
        raise refused(refusal) from None
    finally:
        database.close()


async def _run(work: Callable[[Batches, str], Awaitable[T]], batches: Batches, account_id: str) -> T:
    return await work(batches, account_id)
