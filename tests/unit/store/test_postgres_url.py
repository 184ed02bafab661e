"""The URL of a shared store: read whole or refused, and its password shown by nothing."""

import pytest

from ct_mcp.store.postgres_url import PostgresUrl, parse_postgres_url


def test_all_that_it_may_hold_is_read() -> None:
    url = parse_postgres_url("postgresql://alice:p%2Fw@db.example:6432/team?sslmode=verify-full&sslrootcert=%2Fca.pem")
    assert url.parameters() == {
        "user": "alice",
        "password": "p/w",
        "host": "db.example",
        "port": 6432,
        "dbname": "team",
        "sslmode": "verify-full",
        "sslrootcert": "/ca.pem",
    }
    assert str(url) == "postgresql://alice@db.example:6432/team"


@pytest.mark.parametrize(
    "text",
    ["postgresql://alice:hunter-two@db/team", "postgres://alice@db/team?password=hunter-two"],
)
def test_the_password_shows_nowhere(text: str) -> None:
    url = parse_postgres_url(text)
    assert url.parameters()["password"] == "hunter-two"
    assert "hunter" not in f"{url} {url!r}"


@pytest.mark.parametrize(
    ("text", "is_verified"),
    [
        ("postgresql://alice@db.example/team", False),
        ("postgresql://alice@db.example/team?sslmode=require", False),
        ("postgresql://alice@db.example/team?sslmode=verify-ca", False),
        ("postgresql://alice@db.example/team?sslmode=verify-full", True),
        ("postgresql://alice@localhost/team", True),
        ("postgresql://alice@127.0.0.1/team", True),
        ("postgresql://alice@[::1]:5432/team", True),
        ("postgresql://alice@10.0.0.7/team", False),
        ("postgresql://alice@/team?host=/run/postgresql", True),
        ("postgresql://alice@/team?host=db.example", False),
    ],
)
def test_what_leaves_this_machine_has_to_prove_whose_it_is(text: str, is_verified: bool) -> None:
    assert parse_postgres_url(text).is_verified is is_verified


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mysql://alice@db/team", "of one host"),
        ("postgresql://alice@one,two/team", "of one host"),
        ("postgresql://db/team", "it names the role and the database"),
        ("postgresql://alice@db", "it names the role and the database"),
        ("postgresql://alice@db:many/team", "any other character of a password as %XX"),
        ("postgresql://alice:p]w[@db/team", "any other character of a password as %XX"),
        ("postgresql://alice@db/team?options=-c%20x%3Dy", "no option 'options'"),
        ("postgresql://alice:hunter-two@db/team#hunter", "of one host"),
        ("hunter-two", "of one host"),
    ],
)
def test_whatever_else_is_refused_and_not_repeated(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=r"a URL as|no option") as refused:
        parse_postgres_url(text)
    assert expected in str(refused.value)
    assert "hunter" not in str(refused.value)


def test_an_address_of_the_newer_kind_is_written_as_such() -> None:
    assert str(PostgresUrl("alice", "team", "::1", 5432)) == "postgresql://alice@[::1]:5432/team"
