"""What all pages share: the frame around them, and the short ones that only say something."""

from collections.abc import Mapping

from starlette.responses import HTMLResponse

from ct_mcp.console.html import Child, Html, rendered, tag

_ASSETS = "/assets"


def page(
    title: str, *body: Child, kind: str, status: int = 200, watched: Mapping[str, str] | None = None
) -> HTMLResponse:
    """A whole page. ``kind`` is what it looks like; ``watched`` are the data attributes that the script reads."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("link", rel="icon", href=f"{_ASSETS}/icon.svg", type="image/svg+xml"),
        tag("link", rel="stylesheet", href=f"{_ASSETS}/console.css"),
        tag("script", src=f"{_ASSETS}/console.js", defer=True),
    )
    lost = tag("p", role="alert", class_="lost", id="lost", hidden=True)
    data = {f"data_{name}": value for name, value in (watched or {}).items()}
    document = tag("html", head, tag("body", lost, *body, class_=kind, **data), lang="en")
    return HTMLResponse(f"<!doctype html>{document.text}", status)


def said(title: str, *lines: Child, status: int = 200) -> HTMLResponse:
    """A page that only says something."""
    text = [tag("p", line) for line in lines]
    return page(
        title, tag("main", tag("article", tag("h1", title), *text, class_="card said")), kind="alone", status=status
    )


def landing(path: str) -> HTMLResponse:
    """What the one-time address answers: the way on, walked at once by a page of our own.

    A redirect would not do: the browser comes from a file, and on a way begun elsewhere the strict cookie stays back.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="refresh", content=f"0;url={path}"),
        tag("title", "ct-mcp"),
        tag("link", rel="icon", href=f"{_ASSETS}/icon.svg", type="image/svg+xml"),
    )
    body = tag("body", tag("p", tag("a", "Go on to the page", href=path)))
    answer = HTMLResponse(f"<!doctype html>{tag('html', head, body, lang='en').text}")
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


def hidden(name: str, value: str) -> Html:
    """A field that goes with a form unseen."""
    return tag("input", type="hidden", name=name, value=value)


def fragment(*children: Child) -> HTMLResponse:
    """A part of a page."""
    return HTMLResponse(rendered(children))
