"""The command line of the station: parses words, calls one command, turns its outcome into an exit code."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from appliance import __version__
from appliance.commandline.exits import MEANING, CommandFailed, Exit
from appliance.errors import StartRefused
from appliance.settings import CONFIG_FILE, Settings, SettingsRefused, config_path, describe, from_process
from firmware.errors import HardwareUnknown, HardwareUnreadable

Command = Callable[[argparse.Namespace, Settings], Exit]


def main(words: list[str] | None = None) -> NoReturn:
    """Entry point of `meteor-appliance`."""
    try:
        code = run(sys.argv[1:] if words is None else words)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads, `head` for example, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = Exit.OK
    raise SystemExit(code)


def run(words: list[str]) -> Exit:
    """One command; all expected failures become one line on standard error."""
    arguments = _parser().parse_args(words)
    try:
        settings = from_process(arguments.config, _flags(arguments))
        command: Command = arguments.command
        return command(arguments, settings)
    except SettingsRefused as error:
        return _fail(Exit.SETTINGS, str(error))
    except StartRefused as error:
        return _fail(Exit.FAILED, str(error))
    except (HardwareUnknown, HardwareUnreadable) as error:
        return _fail(Exit.FAILED, f"{error} ({error.code})", error.action)
    except CommandFailed as error:
        return _fail(error.code, str(error), error.hint)
    except PermissionError as error:
        hint = "Run it as the user of the station, or choose another --data-dir."
        return _fail(Exit.PERMISSION, f"{error.filename}: permission denied.", hint)
    except KeyboardInterrupt:
        return Exit.OK


def _fail(code: Exit, text: str, hint: str = "") -> Exit:
    print(f"meteor-appliance: {text}", file=sys.stderr)
    if hint:
        print(f"  {hint}", file=sys.stderr)
    return code


# --- words ---


def _parser() -> argparse.ArgumentParser:
    codes = "\n".join(f"  {code.value}  {text}" for code, text in MEANING.items())
    parser = argparse.ArgumentParser(
        prog="meteor-appliance",
        description="A meteor station: takes events from camera programs and delivers them to the cloud.",
        epilog=f"exit codes:\n{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help=f"settings file (default {CONFIG_FILE})")
    parser.add_argument("--data-dir", metavar="DIR", help="where everything is kept")
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="one setting, may be repeated"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _station_commands(commands)
    _information_commands(commands)
    _help_commands(commands)
    _event_commands(commands)
    _update_commands(commands)
    return parser


def _add(commands: Any, name: str, command: Command, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=command)
    return parser


def _station_commands(commands: Any) -> None:
    station = _add(commands, "run", _run, "run the station until it is stopped")
    station.add_argument("--simulate", action="store_true", help="with a simulated radio, light and display")
    register = _add(commands, "register", _register, "claim this station with a code from your account")
    register.add_argument("token", help="the claim code, mct_…")
    register.add_argument("--api-url", metavar="URL", help="the cloud's address (default: cloud.url)")
    reset = _add(commands, "reset", _reset, "make this a new station: owner, keys and networks are removed")
    extent = reset.add_mutually_exclusive_group()
    extent.add_argument("--network", action="store_true", help="only forget the Wi-Fi networks")
    extent.add_argument("--purge", action="store_true", help="remove events that wait to be sent, too")
    reset.add_argument("--yes", action="store_true", help="do not ask")
    pin = _add(commands, "pin", _pin, "the PIN of the technician's page")
    pin.add_argument("--new", action="store_true", help="make another one, and let nobody wait any more")


def _information_commands(commands: Any) -> None:
    for name, command, text in (
        ("status", _status, "what the station is doing"),
        ("health", _health, "whether the cloud can be reached from here"),
        ("generate-fingerprint", _fingerprint, "what names this hardware; needs no network"),
        ("settings", _settings, "the settings in force, secrets hidden"),
        ("version", _version, "the version of this program"),
    ):
        parser = _add(commands, name, command, text)
        parser.add_argument("--json", action="store_true", help="for programs")
        if name == "health":
            parser.add_argument("--api-url", metavar="URL", help="the cloud's address (default: cloud.url)")


def _help_commands(commands: Any) -> None:
    from appliance.commandline.manual import BUNDLE, BUNDLE_ENDING, DOCTOR, DOCTOR_ENDING

    doctor = _add(commands, "doctor", _doctor, "what is wrong, with evidence and one thing to do")
    doctor.add_argument("--json", action="store_true", help="for programs")
    bundle = _add(commands, "support-bundle", _support_bundle, "a redacted file for whoever helps")
    bundle.add_argument("file", nargs="?", metavar="FILE", help="where to (default: named after the day)")
    for parser, text, ending in ((doctor, DOCTOR, DOCTOR_ENDING), (bundle, BUNDLE, BUNDLE_ENDING)):
        parser.description, parser.epilog = text, ending
        parser.formatter_class = argparse.RawDescriptionHelpFormatter


def _event_commands(commands: Any) -> None:
    buffer = commands.add_parser("buffer", help="look into the buffer").add_subparsers(required=True)
    listing = _add(buffer, "ls", _buffer_ls, "what waits to be sent, and what was set aside")
    listing.add_argument("--json", action="store_true", help="for programs")
    listing.add_argument("--limit", type=int, default=50, metavar="N", help="at most so many rows (50)")
    listing.add_argument("--priority", choices=["critical", "high", "normal", "low"], help="only these")
    one = _add(buffer, "show", _buffer_show, "everything about one message")
    one.add_argument("name", metavar="UUID|KEY", help="its UUID or its key")
    _export_command(buffer)
    again = _add(buffer, "retry", _buffer_retry, "give messages that were set aside another chance")
    again.add_argument("names", nargs="*", metavar="UUID|KEY", help="only these (default: all)")
    now = _add(buffer, "flush", _buffer_flush, "send now what waits")
    now.add_argument(
        "--wait", type=_seconds, metavar="SECONDS", help="until nothing waits, or for so many seconds"
    )
    for parser in (one, again, now):
        parser.add_argument("--json", action="store_true", help="for programs")
    event = commands.add_parser("event", help="hand in events").add_subparsers(required=True)
    send = _add(event, "send", _event_send, "hand files to the running station as one event")
    send.add_argument("files", nargs="+", type=Path, metavar="FILE")
    send.add_argument("--type", default="meteor", help="meteor, fireball, … (meteor)")
    send.add_argument("--priority", choices=["critical", "high", "normal", "low"], help="how urgent (high)")
    send.add_argument("--time", metavar="RFC3339", help="when it began (default: the oldest file's time)")


def _export_command(buffer: Any) -> None:
    export = _add(buffer, "export", _buffer_export, "put what waits and what was set aside into a folder")
    export.add_argument("target", metavar="DIR|-", help="an empty or new folder; - prints lines of JSON")
    export.add_argument("--priority", choices=["critical", "high", "normal", "low"], help="only these")
    export.add_argument("--kind", help="only this kind, for example event")
    export.add_argument("--dead", action="store_true", help="only what was set aside")
    export.add_argument("--file", type=Path, help="this file instead of the station's buffer")
    export.add_argument("--force", action="store_true", help="also into a folder that is not empty")
    export.add_argument("--json", action="store_true", help="for programs")


def _update_commands(commands: Any) -> None:
    update = commands.add_parser("update", help="new versions of this program").add_subparsers(required=True)
    for name, text in (
        ("check", "whether there is a new version for this station"),
        ("status", "what runs, and how far an update is"),
        ("install", "install the new version now, and wait until it is kept or taken back"),
        ("rollback", "go back to the version before"),
        ("history", "the updates of the past"),
        ("work", "go on with an update that was cut, and install what is due; for the service manager"),
    ):
        parser = _add(update, name, _update, text)
        parser.add_argument("--json", action="store_true", help="for programs")
        parser.set_defaults(action=name, folder=None)
        if name in ("check", "install"):
            parser.add_argument("--from", dest="folder", type=Path, metavar="FOLDER", help="a USB stick")


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError
    return value


def _flags(arguments: argparse.Namespace) -> dict[str, Any]:
    flags: dict[str, Any] = {}
    for assignment in arguments.set:
        name, mark, value = assignment.partition("=")
        if not mark or "." not in name:
            raise SettingsRefused(
                f"--set {assignment}: write it as SECTION.KEY=VALUE, e.g. portal.port=8080."
            )
        flags[name] = value
    if arguments.data_dir:
        flags["device.data_dir"] = arguments.data_dir
    if getattr(arguments, "simulate", False):
        flags["network.backend"] = "simulated"
    return flags


# --- commands: imported when called, so that a small command starts fast ---


def _run(arguments: argparse.Namespace, settings: Settings) -> Exit:
    from appliance import footprint

    footprint.hurry()
    # qrcode would load Pillow, where it is installed, for pictures that nobody asks it for: 4 MB.
    sys.modules.setdefault("PIL", None)  # type: ignore[arg-type]

    from appliance import daemon, logs
    from firmware.watchdog import watchdog_from

    tail = logs.configure(settings.log.level, settings.log.format)
    ending = daemon.Ending.RESET
    while ending is daemon.Ending.RESET:
        ending = asyncio.run(daemon.run(settings, tail, watchdog_from(os.environ)))
    return _again() if ending is daemon.Ending.RESTART else Exit.OK


def _again() -> Exit:
    """The service manager starts the program anew, or else the program itself does, in the same process."""
    if not os.environ.get("NOTIFY_SOCKET"):
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - our own command line
    return Exit.RESTART


def _status(arguments: argparse.Namespace, settings: Settings) -> Exit:
    from appliance.commandline import show

    facts = asyncio.run(show.gather(settings, str(config_path(arguments.config, os.environ))))
    _print(arguments, facts, show.lines)
    return Exit.OK


def _health(arguments: argparse.Namespace, settings: Settings) -> Exit:
    from appliance.commandline import health

    found = asyncio.run(health.ask(settings, arguments.api_url or settings.cloud.url))
    _print(arguments, found.values(), health.lines)
    return Exit.OK if found.fault is None else Exit.UNREACHABLE


def _doctor(arguments: argparse.Namespace, settings: Settings) -> Exit:
    from appliance.commandline import doctor
    from appliance.doctor.told import lines

    found = asyncio.run(doctor.ask(settings))
    _print(arguments, found, lines)
    return doctor.exit_code(found)


def _support_bundle(arguments: argparse.Namespace, settings: Settings) -> Exit:
    from appliance.commandline.bundle import save

    print(_await(save(settings, Path(arguments.file) if arguments.file else None)))
    return Exit.OK


def _register(arguments: argparse.Namespace, settings: Settings) -> Exit:
    from appliance.commandline.register import register

    print(_await(register(settings, arguments.token, arguments.api_url)))
    return Exit.OK


def _reset(arguments: argparse.Namespace, settings: Settings) -> Exit:
    from appliance.commandline.start_over import start_over
    from firmware.reset import Extent

    what = "the Wi-Fi networks" if arguments.network else "owner, keys and networks"
    if not arguments.yes:
        question = f"Remove {what} from this station? Type yes to go on: "
        if _answer(question) != "yes":
            raise CommandFailed(Exit.USAGE, "Nothing was removed.", "Say --yes to go on without a question.")
    extent = Extent.NETWORKS if arguments.network else Extent.ALL if arguments.purge else Extent.OWNER
    print(_await(start_over(settings, extent)))
    return Exit.OK


def _answer(question: str) -> str:
    """What the person typed; nothing without a terminal and after Ctrl-D."""
    try:
        return input(question).strip().lower() if sys.stdin.isatty() else ""
    except EOFError:
        return ""


def _pin(arguments: argparse.Namespace, settings: Settings) -> Exit:
    from appliance.commandline.pin import show

    print(_await(show(settings, new=arguments.new)))
    return Exit.OK


def _fingerprint(arguments: argparse.Namespace, settings: Settings) -> Exit:
    from appliance.commandline import fingerprint

    _print(arguments, fingerprint.values(), fingerprint.lines)
    return Exit.OK


def _settings(arguments: argparse.Namespace, settings: Settings) -> Exit:
    values = msgspec.to_builtins(settings)
    _print(arguments, values, lambda _: describe(settings).splitlines())
    return Exit.OK


def _version(arguments: argparse.Namespace, settings: Settings) -> Exit:
    from appliance.commandline.build import build_text

    values = {"version": __version__, "build": build_text()}
    _print(arguments, values, lambda v: [f"meteor-appliance {v['version']} ({v['build']})"])
    return Exit.OK


def _buffer_ls(arguments: argparse.Namespace, settings: Settings) -> Exit:
    from appliance.commandline import backlog

    values = asyncio.run(backlog.values(settings, arguments.limit, arguments.priority))
    _print(arguments, values, backlog.lines)
    return Exit.OK


def _buffer_retry(arguments: argparse.Namespace, settings: Settings) -> Exit:
    from appliance.commandline import backlog

    values = asyncio.run(backlog.retry(settings, arguments.names))
    _print(arguments, values, backlog.retried)
    return Exit.FAILED if values["unknown"] else Exit.OK


def _buffer_show(arguments: argparse.Namespace, settings: Settings) -> Exit:
    from appliance.commandline import message

    _print(arguments, message.values(settings, arguments.name), message.lines)
    return Exit.OK


def _buffer_export(arguments: argparse.Namespace, settings: Settings) -> Exit:
    from appliance.commandline import export
    from buffer.detail import Wish
    from buffer.message import Priority

    priority = Priority[arguments.priority.upper()] if arguments.priority else None
    wish = Wish(priority, arguments.kind, arguments.dead)
    if arguments.target == "-":
        done = export.to_lines(settings, wish, arguments.file, sys.stdout.write)
        print("\n".join(export.lines(done.values())), file=sys.stderr)
    else:
        folder = Path(arguments.target)
        done = export.to_folder(settings, folder, wish, arguments.file, force=arguments.force)
        _print(arguments, done.values(), export.lines)
    return Exit.OK if done.whole else Exit.FAILED


def _buffer_flush(arguments: argparse.Namespace, settings: Settings) -> Exit:
    from appliance.commandline import flush

    def tell(text: str) -> None:
        print(text, file=sys.stderr)

    values = asyncio.run(flush.flush(settings, arguments.wait, tell))
    _print(arguments, values, flush.lines)
    return Exit.WAITING if values["count"] and arguments.wait is not None else Exit.OK


def _event_send(arguments: argparse.Namespace, settings: Settings) -> Exit:
    from appliance.commandline.send import send

    print(_await(send(settings, arguments.files, arguments.type, arguments.priority, arguments.time)))
    return Exit.OK


def _update(arguments: argparse.Namespace, settings: Settings) -> Exit:
    from appliance.commandline import update

    def tell(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    values, code = update.run(arguments.action, settings, arguments.folder, tell)
    _print(arguments, values, update.lines)
    return code


def _await(work: Coroutine[Any, Any, str]) -> str:
    return asyncio.run(work)


def _print(
    arguments: argparse.Namespace, values: dict[str, Any], lines: Callable[[dict[str, Any]], list[str]]
) -> None:
    if arguments.json:
        print(msgspec.json.format(msgspec.json.encode(values), indent=2).decode())
    else:
        print("\n".join(lines(values)))
