"""Settings as a person would give them, and what a refused start says."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from ct_mcp.config.settings import Settings, load
from ct_mcp.errors import ConfigError

Loader = Callable[..., Settings]


@pytest.fixture
def read(tmp_path: Path) -> Loader:
    """Load settings as a person would give them: the text of a file, variables, flags."""

    def read(text: str | None = None, environ: Mapping[str, str] | None = None, **flags: str) -> Settings:
        file = tmp_path / "config.toml"
        if text is not None:
            file.write_text(text, encoding="utf-8")
        return load(flags, environ or {}, default_file=lambda: file, keyring=lambda: None)

    return read


@pytest.fixture
def faults(read: Loader) -> Callable[..., list[str]]:
    """What a refused start says, a line for each fault."""

    def faults(text: str | None = None, environ: Mapping[str, str] | None = None, **flags: str) -> list[str]:
        with pytest.raises(ConfigError) as refused:
            read(text, environ, **flags)
        heading, *lines = refused.value.what.splitlines()
        assert heading.startswith(f"{len(lines)} fault")
        return lines

    return faults
