"""Opens approval pages for the server; nothing of them is imported or served before the first ticket needs one."""

import logging
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from ct_mcp.cli.compose import Furnishing
    from ct_mcp.console.pages import Pages
    from ct_mcp.domain.ticket import Ticket


class ApprovalPages:
    """The way from a ticket to a page in the person's browser, as far as there can be one."""

    def __init__(self, furnishing: "Furnishing", tasks: "TaskGroup") -> None:
        self._furnishing = furnishing
        self._tasks = tasks
        self._pages: Pages | None = None
        self._told = False

    async def open(self, ticket: "Ticket") -> bool:
        """Open the page of a ticket once; where that cannot be, say why on stderr, once."""
        from ct_mcp.console.browser import why_no_browser

        if why := why_no_browser(os.environ):
            self._tell(f"No browser can be opened: {why}")
            return False
        if not await self._made().open(ticket):
            self._tell("No browser has come to the approval page")
            return False
        return True

    def _made(self) -> "Pages":
        if self._pages is None:
            from ct_mcp.console.browser import browse
            from ct_mcp.console.pages import Pages

            folder = self._furnishing.settings.state_dir / "pages"
            self._pages = Pages(self._furnishing.desk(), self._furnishing.store, browse, folder, self._tasks)
        return self._pages

    def _tell(self, what: str) -> None:
        if not self._told:
            logging.getLogger("ct_mcp").warning("%s. Approve in a terminal: ct-mcp approve --watch", what)
        self._told = True
