"""The templates: all of them can be read, no text becomes markup, and nothing is left out in silence."""

from importlib.resources import files

import pytest
from jinja2 import UndefinedError

from ct_mcp.web.rendering import draw, landing, message

TEMPLATES = sorted(file.name for file in files("ct_mcp.web").joinpath("templates").iterdir())
PARTS = ("page_parts.html", "team_parts.html", "ticket_parts.html")
HOSTILE = "<script>\"'&</script>"


@pytest.mark.parametrize("name", [name for name in TEMPLATES if name not in PARTS])
def test_a_template_can_be_read_and_nothing_that_it_needs_is_left_out_in_silence(name: str) -> None:
    with pytest.raises(UndefinedError, match="is undefined"):
        draw(name)


@pytest.mark.parametrize("name", PARTS)
def test_the_parts_show_nothing_by_themselves(name: str) -> None:
    assert name in TEMPLATES
    assert draw(name) == ""


def test_whatever_is_said_is_text() -> None:
    said = bytes(message(HOSTILE, HOSTILE, status=409).body).decode()
    assert said.count("&lt;script&gt;&#34;&#39;&amp;&lt;/script&gt;") == 3, "in the title, the heading and the line"
    assert "<script>" not in said


def test_the_way_on_stays_an_attribute_whatever_it_is() -> None:
    assert b'<a href="/s/&#34;&gt;&lt;b&gt;">' in landing('/s/"><b>').body


def test_a_part_has_no_blanks_around_it() -> None:
    drawn = draw("panel_halt.html", halt=None, team_halt=None, lines=(), session={"path": "/s/1", "csrf": "token"})
    assert drawn == drawn.strip()
    assert drawn.startswith("<form")
