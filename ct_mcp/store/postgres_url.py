"""Where a store in PostgreSQL is: the URL of the settings, whose password shows nowhere.

Loads no psycopg: the settings read it on the way to the server's first answer.
"""

from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import parse_qsl, unquote, urlsplit

SCHEMES = ("postgresql", "postgres")
_OPTIONS = frozenset(
    {
        "channel_binding",
        "connect_timeout",
        "gssencmode",
        "host",
        "passfile",
        "password",
        "sslcert",
        "sslcrl",
        "sslkey",
        "sslmode",
        "sslrootcert",
        "sslsni",
        "tcp_user_timeout",
    }
)
_VERIFIED = "verify-full"


@dataclass(frozen=True, slots=True)
class PostgresUrl:
    """A server, a database, the role that uses it, and options of libpq; as text, without its password and options."""

    user: str
    database: str
    host: str = ""
    port: int | None = None
    options: tuple[tuple[str, str], ...] = ()
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        place = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return f"postgresql://{self.user}@{place}{port}/{self.database}"

    @property
    def is_verified(self) -> bool:
        """Whether it never leaves this machine, or goes to a server alone that has proved its name."""
        return _is_loopback(self.host) or dict(self.options).get("sslmode") == _VERIFIED

    def parameters(self) -> dict[str, str | int]:
        """Give what libpq connects with, the password among it."""
        named = {"user": self.user, "dbname": self.database, "host": self.host, "password": self.password}
        return {
            **dict(self.options),
            **{name: value for name, value in named.items() if value},
            **({} if self.port is None else {"port": self.port}),
        }


def parse_postgres_url(text: str) -> PostgresUrl:
    """Read a URL as libpq has them, of one host.

    Raises:
        ValueError: Says what was expected, and repeats nothing of it.
    """
    example = "postgresql://ROLE@HOST/DATABASE?sslmode=verify-full"
    try:
        parts = urlsplit(text)
        port = parts.port
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise ValueError(f"a URL as {example}, with any other character of a password as %XX") from None
    if parts.scheme not in SCHEMES or parts.fragment or "," in parts.netloc:
        raise ValueError(f"a URL as {example}, of one host")
    if not parts.username or not parts.path.strip("/"):
        raise ValueError(f"a URL as {example}: it names the role and the database")
    if unknown := sorted(set(options) - _OPTIONS):
        raise ValueError(f"no option {unknown[0][:30]!r}, but of {', '.join(sorted(_OPTIONS - {'password'}))}")
    host = options.pop("host", "") or unquote(parts.hostname or "")
    return PostgresUrl(
        unquote(parts.username),
        unquote(parts.path.strip("/")),
        host,
        port,
        tuple(sorted((name, value) for name, value in options.items() if name != "password")),
        unquote(parts.password or "") or options.get("password", ""),
    )


def _is_loopback(host: str) -> bool:
    """A socket in the file system, or this machine by its name or address."""
    if not host or host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
