"""What a program that we start for the person is told, and what it is not."""

import sys
from pathlib import Path

import pytest

from ct_mcp.web.browser import browse

SECRETS = {
    "CROSSTRADE_TOKEN": "crosstrade-token-0123456789",
    "CT_MCP_STATE": "postgresql://ct:state-password-123@db.example/ct?sslmode=verify-full",
    "CT_MCP_PLANE": "postgresql://ct:plane-password-123@db.example/plane?sslmode=verify-full",
}


async def test_the_browser_is_told_all_but_our_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, script = tmp_path / "seen", tmp_path / "browser.py"
    script.write_text(f"import os; open({str(seen)!r}, 'w').write(repr(dict(os.environ)))", encoding="utf-8")
    for name, value in (SECRETS | {"BROWSER": f"{sys.executable} {script} %s", "KEPT": "this stays"}).items():
        monkeypatch.setenv(name, value)
    assert await browse("file:///nowhere.html")
    environment = seen.read_text(encoding="utf-8")
    assert "this stays" in environment
    assert not [name for name, value in SECRETS.items() if value in environment]
