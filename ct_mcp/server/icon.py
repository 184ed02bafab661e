"""The picture that clients may show beside the server's name: a shield with a tick."""

from base64 import b64encode

from mcp_types import Icon

_SHIELD = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">'
    '<path d="M32 4 8 12v18c0 16 10 26 24 30 14-4 24-14 24-30V12z" fill="#0b3d5c"/>'
    '<path d="m19 32 9 10 18-20" fill="none" stroke="#fff" stroke-width="6" stroke-linecap="round"/></svg>'
)

ICON = Icon(
    src=f"data:image/svg+xml;base64,{b64encode(_SHIELD.encode()).decode()}", mime_type="image/svg+xml", sizes=["any"]
)
