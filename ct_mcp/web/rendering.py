"""Draw pages from the templates: every text is escaped, so that no name of an account or an order becomes markup.

A name that the templates do not know is a fault, and never an empty place on a page that somebody approves by. It
stands alone, short as it is, since it alone knows Jinja2, and every page is drawn with it.
"""

from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from ct_mcp.text import format_price, money, one_line, sanitize, signed_money


def _clean(text: str, longest: int) -> str:
    return sanitize(text, longest=longest)


_TEMPLATES = Environment(
    loader=PackageLoader("ct_mcp.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_TEMPLATES.filters.update(clean=_clean, line=one_line, price=format_price, money=money, signed_money=signed_money)


def draw(template: str, **context: object) -> Markup:
    """Draw a part of a page, without blanks around it: the script compares what it holds with what it fetches."""
    return Markup(_TEMPLATES.get_template(template).render(context).strip())  # noqa: S704  # escaped by the template


def page(template: str, context: Mapping[str, object], status: int = 200) -> HTMLResponse:
    """Answer with a whole page."""
    return HTMLResponse(draw(template, **context), status)


def message(title: str, *lines: str, status: int = 200) -> HTMLResponse:
    """Answer with a page that only says something."""
    return page("message.html", {"title": title, "lines": lines}, status)


def not_here() -> HTMLResponse:
    """Answer that there is no such page for this session."""
    return message("Nothing here", "There is no such page.", status=404)


def landing(path: str) -> HTMLResponse:
    """Answer a one-time link with the way on, which the browser takes at once from a page of ours.

    A redirect would not do: the browser comes from a file, and on a way begun elsewhere the strict cookie stays back.
    """
    answer = page("landing.html", {"path": path})
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer
