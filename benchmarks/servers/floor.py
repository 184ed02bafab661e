"""The floor: the smallest server that the SDK allows, with one tool that does nothing."""

from mcp.server import MCPServer

server = MCPServer("floor", version="1")


@server.tool()
async def echo(text: str) -> str:
    """Say it again."""
    return text


if __name__ == "__main__":
    server.run("stdio")
