"""Addresses: which servers they name, what is told of those that cannot work, and what is not."""

from pathlib import Path
from typing import Any

import pytest

from tidemill.address import connect_options, first_statements, hosts, target
from tidemill.errors import ConfigurationError
from tidemill.settings import Settings


def options(url: str, **given: Any) -> dict[str, Any]:
    return connect_options(Settings(database_url=url, **given), application="tests")


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("postgresql:///d", []),
        ("postgresql://h/d", [("h", None)]),
        ("postgresql://u:p@h:6432/d", [("h", 6432)]),
        ("postgresql://u:p@a,b:6432,[::1]:5433,[fe80::1]/d",
         [("a", None), ("b", 6432), ("::1", 5433), ("fe80::1", None)]),
        ("postgresql://%2Frun%2Fpostgresql/d", [("/run/postgresql", None)]),
        ("postgresql:///d?host=a,b&port=1,2", [("a", 1), ("b", 2)]),
        ("postgresql:///d?host=a,b&port=1", [("a", 1), ("b", 1)]),
        ("postgresql:///d?host=a,b", [("a", None), ("b", None)]),
    ],
)  # fmt: skip
def test_the_servers_of_an_address(url: str, named: list[tuple[str, int | None]]) -> None:
    assert hosts(Settings(database_url=url)) == named


def test_of_several_servers_the_writable_one_is_asked_for() -> None:
    assert options("postgresql://a,b/d")["target_session_attrs"] == "read-write"
    assert "target_session_attrs" not in options("postgresql://a/d")
    asked = Settings(database_url="postgresql://a,b/d?target_session_attrs=any")
    assert target(asked) == "any"


@pytest.mark.parametrize("asked", ["standby", "read-only", "prefer-standby", "primari"])
def test_a_server_that_takes_no_writes_cannot_be_asked_for(asked: str) -> None:
    with pytest.raises(ConfigurationError, match="must be one of read-write, primary, any"):
        options(f"postgresql://a,b/d?target_session_attrs={asked}")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:secret@a,,b/d",
        "postgresql://u:secret@h:port/d",
        "postgresql://u:secret@[h/d",
        "postgresql://u:secret@\u2100/d",
        "postgresql://u@h/d?password=secret&secret",
        "postgresql://u:secret@h/d?port=secret",
        "://u:secret@h/d",
    ],
)
def test_an_address_that_is_none_is_told_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="TIDEMILL_DATABASE_URL must") as caught:
        options(url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_address_past_a_pooler_is_named_when_it_is_the_wrong_one() -> None:
    settings = Settings(database_url="postgresql://h/d", database_direct_url="mysql://h/d")
    with pytest.raises(ConfigurationError, match="TIDEMILL_DATABASE_DIRECT_URL must start with"):
        connect_options(settings, application="tests", direct=True)


def test_a_transaction_through_a_pooler_starts_with_what_a_session_has() -> None:
    settings = Settings(database_url="postgresql://h/d", database_statement_seconds=2.5)
    session = connect_options(settings, application="tests")["server_settings"]
    begun = first_statements(settings)
    for name, value in session.items():
        if name not in ("application_name", "default_transaction_isolation"):
            assert f"; SET LOCAL {name} = '{value}'" in begun
    assert session["statement_timeout"] == "2500ms"


def test_the_password_is_read_from_its_file_each_time(tmp_path: Path) -> None:
    file = tmp_path / "password"
    for password in ("first ", "second\r\n"):
        file.write_text(password)
        given = options("postgresql://u@h/d", database_password_file=str(file))
        assert given["password"] == password.rstrip("\r\n")
