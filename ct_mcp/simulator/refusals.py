"""A no from the service or the add-on, as it goes out."""


class Refusal(Exception):
    """An HTTP status and the text under `error`.

    The older form is `{"error": text}`; where there is a code the newer one is used,
    `{"success": false, "error": code, "detail": text}`.
    """

    def __init__(self, status: int, error: str, *, detail: str | None = None, **more: object) -> None:
        """Take what is to be said; `more` stands beside it in the newer form."""
        super().__init__(error)
        self.status = status
        self.error = error
        self.body: dict[str, object] = {"error": error}
        if detail is not None or more or status != 400:
            self.body = {"success": False, "error": error, **({"detail": detail} if detail else {}), **more}
