"""The command `meteor-cloud`: arguments, exit codes and one-line errors. The work is done elsewhere."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from cloud import logs, server
from cloud.app import unix_ms
from cloud.commandline import administrators, audit, certificates
from cloud.commandline import bulk as _bulk
from cloud.commandline import registrations as _registrations
from cloud.commandline.opened import opened
from cloud.errors import (
    AccountRefused,
    AuditBroken,
    CertificateUnknown,
    CloudError,
    ListRefused,
    SecretMissing,
    SettingsError,
    StartError,
    StoreError,
)
from cloud.security import rollover
from cloud.security.accounts import Accounts
from cloud.security.limits import Limits
from cloud.security.passwords import Passwords
from cloud.security.vault import Vault
from cloud.settings import ENVIRONMENT, FILE_VARIABLE, Settings, load
from cloud.store.engine import Database
from cloud.store.migrate import current, newest, upgrade

_EXIT = {
    SettingsError: 3,
    SecretMissing: 3,
    StoreError: 4,
    StartError: 5,
    AccountRefused: 6,
    AuditBroken: 7,
    ListRefused: 8,
    CertificateUnknown: 2,
}
_EXIT_CODES = """\
exit codes:
  0  done, or stopped by SIGTERM or SIGINT
  1  an unexpected error (there is a traceback in the log)
  2  wrong arguments
  3  a setting is wrong, or a secret is missing
  4  the database or the disk failed
  5  the server cannot start, for example because the port is in use
  6  the account cannot be made or changed
  7  the security log does not hold
  8  the list, or the registration that was named, cannot be used
"""
_SETTINGS = f"""\
settings:
  defaults < TOML file (--config or {FILE_VARIABLE}) < environment ({ENVIRONMENT}<NAME>) < flags
  names: {", ".join(Settings.__struct_fields__)}

"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    try:
        settings = _settings(chosen)
        logs.configure(settings.log_format, settings.log_level)
        code: int = chosen.command(chosen, settings)
    except CloudError as error:
        print(f"meteor-cloud: {error}", file=sys.stderr)
        return _EXIT.get(type(error), 1)
    except KeyboardInterrupt:
        return 0
    return code


def _settings(chosen: argparse.Namespace) -> Settings:
    names = set(Settings.__struct_fields__) & set(vars(chosen))
    flags = {name: getattr(chosen, name) for name in names}
    return load(chosen.config, os.environ, flags)


def _run(_chosen: argparse.Namespace, settings: Settings) -> int:
    os.umask(0o077)
    secrets = server.prepare(settings)
    listener = server.listen(settings)
    settings = server.told_address(settings, listener)
    asyncio.run(server.serve(settings, secrets, listener, lambda password: _greet(settings, password)))
    return 0


def _greet(settings: Settings, password: str | None) -> None:
    print(f"Cloud ready at {settings.base}", flush=True)
    if password is not None:
        print(f"Demo account: {server.DEMO_EMAIL} with password {password}", flush=True)
    if settings.development and server.demo_file(settings).is_file():
        print(f"The demo account stands in {server.demo_file(settings)}", flush=True)


def _create_user(chosen: argparse.Namespace, settings: Settings) -> int:
    password = _password(chosen.password_stdin)
    with opened(settings) as database:
        accounts = Accounts(database, Passwords(), Limits(), unix_ms)
        made = asyncio.run(accounts.create(chosen.email, password, chosen.name))
    print(f"Account {made.email} made.")
    return 0


def _password(from_stdin: bool) -> str:
    """Never an argument: those can be read by every user of the machine."""
    if from_stdin or not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    try:
        password = getpass.getpass("Password: ")
        again = getpass.getpass("Again: ")
    except EOFError:
        raise AccountRefused("No password was typed.") from None
    if again != password:
        raise AccountRefused("The two passwords differ.")
    return password


def _ca_init(_chosen: argparse.Namespace, settings: Settings) -> int:
    vault = Vault(settings.secrets)
    vault.make_authority()
    vault.make_missing_keys()
    print(f"Made the authority and the server's keys in {vault.folder}.")
    print(f"Move {vault.root_key} to a medium that is kept offline: the server does not need it.")
    return 0


def _ca_show(_chosen: argparse.Namespace, settings: Settings) -> int:
    print(Vault(settings.secrets).load().authority.root_pem, end="")
    return 0


def _roll_over(chosen: argparse.Namespace, settings: Settings) -> int:
    vault = Vault(settings.secrets)
    vault.load()
    name = rollover.roll_over(vault, chosen.kind, chosen.root_key)
    print(f"Made a new {chosen.kind} key ({name}); the old one stays beside it. Restart the server.")
    return 0


def _forget(chosen: argparse.Namespace, settings: Settings) -> int:
    count = rollover.forget(Vault(settings.secrets), chosen.kind)
    print(f"Dropped {count} previous {chosen.kind} keys. Restart the server.")
    return 0


def _migrate(_chosen: argparse.Namespace, settings: Settings) -> int:
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = Database(settings.database)
    try:
        before = current(database)
        upgrade(database)
    finally:
        database.close()
    print(
        f"The database is at {newest()}"
        + (f", it was at {before or 'nothing'}." if before != newest() else ".")
    )
    return 0


def _show(_chosen: argparse.Namespace, settings: Settings) -> int:
    shown = msgspec.to_builtins(settings, enc_hook=str)
    if settings.database_url:
        shown["database_url"] = Database(settings.database).url.render_as_string(hide_password=True)
    for name, value in shown.items():
        print(f"{name} = {value}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="meteor-cloud",
        description="The cloud of Meteor stations.",
        epilog=_SETTINGS + _EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = _command(commands, "run", _run, "serve until stopped")
    run.add_argument("--host", help="address to listen on")
    run.add_argument("--port", type=int, help="port to listen on; 0 takes any")
    run.add_argument("--public-url", help="address that people and stations use")
    run.add_argument(
        "--development",
        action="store_const",
        const=True,
        help="make authority, keys and a demo account when absent; not for real use",
    )
    run.add_argument("--log-format", choices=["plain", "json"])
    run.add_argument("--log-level", choices=["debug", "info", "warning", "error"])
    user = _command(commands, "create-user", _create_user, "make an account; the password is asked for")
    user.add_argument("email")
    user.add_argument("--name", default="", help="how the person is greeted")
    user.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    authority = commands.add_parser("ca", help="the certificate authority")
    actions = authority.add_subparsers(required=True, metavar="ACTION")
    _command(actions, "init", _ca_init, "make root, intermediate and the server's keys")
    _command(actions, "show", _ca_show, "print the root certificate")
    roll = _command(actions, "roll-over", _roll_over, "put a new key beside the old one")
    roll.add_argument("kind", choices=rollover.KINDS)
    roll.add_argument("--root-key", type=Path, help="the root's key, for the intermediate")
    drop = _command(actions, "forget", _forget, "drop the previous keys of a kind")
    drop.add_argument("kind", choices=rollover.KINDS)
    certificates.add_commands(commands, _command)
    administrators.add(commands, _command)
    log = commands.add_parser("audit", help="the log of security events")
    audit.add(log.add_subparsers(required=True, metavar="ACTION"), _command)
    _bulk.add(commands, _command)
    _registrations.add(commands, _command)
    _command(commands, "migrate", _migrate, "bring the database to the newest schema")
    _command(commands, "settings", _show, "print the effective settings")
    return parser


def _command(
    group: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    function: object,
    description: str,
) -> argparse.ArgumentParser:
    parser = group.add_parser(
        name,
        help=description,
        description=description,
        epilog=_SETTINGS + _EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, help="TOML file with settings")
    parser.add_argument("--data-dir", type=Path, help="folder of database, files and secrets")
    parser.add_argument("--database-url", help="sqlite:///path or postgresql+psycopg://...")
    parser.set_defaults(command=function)
    return parser


if __name__ == "__main__":
    sys.exit(main())
