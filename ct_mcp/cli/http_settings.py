"""Where ``serve --http`` listens, by which names it is called, and whether what it says is encrypted."""

import argparse
import socket
import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from ct_mcp.errors import ConfigError

PORT = 8421
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_USUAL_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Tls:
    """The files that prove who the server is."""

    certificate: str
    key: str


@dataclass(frozen=True, slots=True)
class Place:
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


def place_of(chosen: argparse.Namespace) -> Place:
    """The place that the flags name.

    Raises:
        ConfigError: Whatever would leave this machine has to be encrypted, and called by a name that we know.
    """
    address = _address(chosen.host)
    if faults := list(_faults(chosen, address)):
        raise ConfigError("\n".join(faults))
    assert address is not None  # noqa: S101  # that would have been a fault
    tls = Tls(chosen.tls_cert, chosen.tls_key) if chosen.tls_cert else None
    return Place(address, PORT if chosen.port is None else chosen.port, tuple(map(str.lower, chosen.name)), tls)


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


def listening(place: Place) -> socket.socket:
    """Open the socket before anything else is done.

    Raises:
        ConfigError: The address is not of this machine, or another program has the port.
    """
    family = socket.AF_INET6 if place.address.version == 6 else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if sys.platform == "win32":
        # There, without this, another program could listen on the very same port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((str(place.address), place.port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise ConfigError(f"{place.address} port {place.port} cannot be used: {error.strerror}") from error
    return listener
