"""The script of others that draws charts: unchanged, with its licence, and shown with the notice that it asks for."""

from hashlib import sha256
from importlib.resources import files

import pytest
from httpx import AsyncClient

from tests.unit.web.conftest import Enter

FOLDER = files("ct_mcp.web").joinpath("assets", "lightweight-charts")
SCRIPT = "lightweight-charts.standalone.production.js"
SUMS = {
    SCRIPT: "e21cc5caa0226ef30bd8549c50b9ef926615f2a4ee6b4e486353477a55f598cf",
    "LICENSE": "70c9d5382506dd184465425c08a99ad9bd6d9ac1313c252968ba0b585e5ef823",
}


def test_it_is_as_it_was_published_with_its_licence() -> None:
    assert {name: sha256(FOLDER.joinpath(name).read_bytes()).hexdigest() for name in SUMS} == SUMS
    assert "Apache License" in FOLDER.joinpath("LICENSE").read_text(encoding="utf-8")
    readme = FOLDER.joinpath("README.md").read_text(encoding="utf-8")
    assert SUMS[SCRIPT] in readme
    assert b"v5.2.1" in FOLDER.joinpath(SCRIPT).read_bytes()[:200]
    assert "5.2.1" in readme


def test_it_asks_no_other_machine_for_anything() -> None:
    """Addresses in it are those of its own licence and of a link; it makes no request."""
    script = FOLDER.joinpath(SCRIPT).read_text(encoding="utf-8")
    for call in ("fetch(", "XMLHttpRequest", "WebSocket", "sendBeacon", "importScripts", "eval(", "new Function"):
        assert call not in script


async def test_it_is_served_from_this_machine_as_a_script(stranger: AsyncClient) -> None:
    answer = await stranger.get(f"/assets/{SCRIPT}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    assert sha256(answer.content).hexdigest() == SUMS[SCRIPT]
    assert (await stranger.get("/assets/lightweight-charts/LICENSE")).status_code == 404


@pytest.mark.parametrize("path", ["/book", "/chart"])
async def test_pages_that_show_charts_have_its_notice_and_its_link(enter: Enter, path: str) -> None:
    page = await (await enter()).look(path)
    assert SCRIPT in page
    assert "TradingView Lightweight Charts" in page
    assert "Copyright (c) 2026 TradingView, Inc." in page
    assert 'href="https://www.tradingview.com/"' in page
