"""From a template and a snapshot to an answer; which template belongs to which page is the pages' affair."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from aiohttp import web
from jinja2 import DictLoader, Environment, StrictUndefined, pass_context
from jinja2.runtime import Context as TemplateContext

from language.languages import Language
from portal import context
from portal.present import home, revision, shown
from portal.view import PHASES

FOLDER = Path(__file__).parent / "templates"


def environment() -> Environment:
    """The templates, translated by whatever `language` stands in the page's values."""
    templates = Environment(
        # Read once: no page waits for the disk, and a damaged card cannot break half a site.
        loader=DictLoader({path.name: path.read_text("utf-8") for path in FOLDER.glob("*.html")}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
        auto_reload=False,
    )
    install: Callable[..., None] = templates.install_gettext_callables  # type: ignore[attr-defined]
    install(_gettext, _ngettext, newstyle=True)
    return templates


@pass_context
def _gettext(values: TemplateContext, message: str) -> str:
    return _language(values).messages.gettext(message)


@pass_context
def _ngettext(values: TemplateContext, one: str, many: str, number: int) -> str:
    return _language(values).messages.ngettext(one, many, number)


def _language(values: TemplateContext) -> Language:
    return cast(Language, values["language"])


def page(
    request: web.Request,
    template: str,
    *,
    status: int = 200,
    refresh: int | str | None = None,
    here: str = "/",
    **values: Any,
) -> web.Response:
    """The page made from `template`; `refresh` reloads it after so many seconds where no script runs.

    It may also say where to go then, as `<meta http-equiv="refresh">` does. `here` is where a change of the
    language leads from the answer to a form.
    """
    ctx = context.of(request)
    snapshot = ctx.station.snapshot()
    language = context.language(request)
    text = ctx.templates.get_template(template).render(
        language=language,
        languages=ctx.languages,
        asset=ctx.assets.url,
        say=language.say,
        station=snapshot,
        phases=PHASES,
        home=home(snapshot),
        shown=shown(snapshot, language),
        revision=revision(snapshot, ctx.secret),
        token=ctx.tokens.issue(context.client(request), ctx.now()),
        here=request.path_qs if request.method == "GET" else here,
        refresh=refresh,
        **values,
    )
    response = web.Response(text=text, status=status, content_type="text/html")
    response.headers["Content-Language"] = language.tag
    response.headers["Cache-Control"] = "no-store"
    response.enable_compression()
    return response
