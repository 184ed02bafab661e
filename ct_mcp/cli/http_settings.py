"""What ``serve --http`` needs to know: its address, its names, its certificate, and the token of its clients."""

import argparse
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from hmac import compare_digest
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from secrets import token_urlsafe

from ct_mcp.config.settings import Settings
from ct_mcp.errors import ConfigError
from ct_mcp.files import OpenToOthers, create_private_file, read_private_file
from ct_mcp.net.asgi import Tls, listen

PORT = 8421
MOST_CONNECTIONS = 128
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_USUAL_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class HttpAddress:
    """An address of this machine, and the names that clients may call it by."""

    address: IPv4Address | IPv6Address
    port: int
    names: tuple[str, ...] = ()
    tls: Tls | None = None

    @property
    def scheme(self) -> str:
        """How addresses of it begin."""
        return "https" if self.tls else "http"

    def authorities(self, port: int) -> frozenset[str]:
        """Every ``Host`` that it answers to; ``port`` is the one it came to listen on."""
        hosts = {_in_url(name) for name in self.names}
        if not self.address.is_unspecified:
            hosts.add(_in_url(str(self.address)))
        if self.address.is_loopback or self.address.is_unspecified:
            hosts.update(_LOOPBACK)
        usual = hosts if port == _USUAL_PORTS[self.scheme] else set()
        return frozenset({f"{host}:{port}" for host in hosts} | usual)

    def url(self, port: int) -> str:
        """The address that a client is told."""
        host = self.names[0] if self.names else str(self.address)
        return f"{self.scheme}://{_in_url(host)}:{port}"


def address_of(chosen: argparse.Namespace) -> HttpAddress:
    """Read the address that the flags name.

    Raises:
        ConfigError: Whatever would leave this machine has to be encrypted, and called by a name that we know.
    """
    address = _address(chosen.host)
    if faults := list(_faults(chosen, address)):
        raise ConfigError("\n".join(faults))
    assert address is not None  # noqa: S101  # that would have been a fault
    tls = Tls(chosen.tls_cert, chosen.tls_key) if chosen.tls_cert else None
    return HttpAddress(address, PORT if chosen.port is None else chosen.port, tuple(map(str.lower, chosen.name)), tls)


def _address(host: str | None) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address("127.0.0.1" if host in (None, "localhost") else str(host))
    except ValueError:
        return None


def _faults(chosen: argparse.Namespace, address: IPv4Address | IPv6Address | None) -> Iterator[str]:
    if address is None:
        yield f"--host: found {chosen.host!a}, expected an address of this machine such as 127.0.0.1"
    elif not address.is_loopback and not (chosen.tls_cert and chosen.tls_key):
        yield f"--host {address} can be reached from other machines: that needs --tls-cert and --tls-key"
    if address is not None and address.is_unspecified and not chosen.name:
        yield f"--host {address} needs --name: the name that clients will call this server by"
    if bool(chosen.tls_cert) is not bool(chosen.tls_key):
        yield "--tls-cert and --tls-key belong together"
    elif chosen.tls_cert and (why := _unusable(chosen.tls_cert, chosen.tls_key)):
        yield f"--tls-cert and --tls-key cannot be used: {why}"


def _unusable(certificate: str, key: str) -> str:
    try:
        # The empty password keeps OpenSSL from asking for one at the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:  # SSLError is an OSError
        return str(error)
    return ""


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def open_listener(where: HttpAddress) -> socket.socket:
    """Open the socket before anything else is done.

    Raises:
        ConfigError: The address is not of this machine, or another program has the port.
    """
    try:
        return listen(where.port, str(where.address), MOST_CONNECTIONS)
    except OSError as error:
        raise ConfigError(f"{where.address} port {where.port} cannot be used: {error.strerror}") from error


_FILE = "http-token"
_LONGEST_FILE = 1024
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{32,512}")


def token_file(settings: Settings) -> Path:
    """Say where the token is kept."""
    return settings.state_dir / _FILE


def client_token(settings: Settings) -> str:
    """Read the token of this state folder, and make it where there is none yet.

    On POSIX the file is for its owner alone, and one that others may read is refused. On Windows it has the rights of
    the folder that it stands in, which is for the owner alone as long as that lies in the owner's profile.

    Raises:
        ConfigError: The file cannot be read, written or trusted.
    """
    file = token_file(settings)
    try:
        token = read_private_file(file, _LONGEST_FILE).strip() if file.exists() else _make(file)
    except OpenToOthers as error:
        raise ConfigError(f"{file} is not for its owner alone, so others may have read it: delete it") from error
    except OSError as error:
        raise ConfigError(f"{file} cannot be used: {error.strerror}") from error
    if not _TOKEN.fullmatch(token):
        raise ConfigError(f"{file} holds no token of 32 characters or more: delete it, and a new one is made")
    if settings.token is not None and compare_digest(token, settings.token.reveal()):
        raise ConfigError(f"{file} holds the token of CrossTrade, which no client may have: delete it")
    return token


def _make(file: Path) -> str:
    token = token_urlsafe(32)
    create_private_file(file, f"{token}\n")
    return token
