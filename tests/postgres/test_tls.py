"""TLS to the database: the server's certificate and name are verified, and the CA may rotate."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import psycopg
import pytest

from tests.support import machine, postgres
from tests.support.tls import Authority
from tests.support.waiting import until
from tidemill.address import connect_options
from tidemill.db import Database, wait_for_database
from tidemill.errors import ConfigurationError, DatabaseRefused, DatabaseUnavailable
from tidemill.notify import Listener
from tidemill.settings import Settings
from tidemill_cli.local.account import account_for
from tidemill_cli.local.postgres import EmbeddedPostgres

pytestmark = pytest.mark.timeout(600)  # the first of them may have to install it

ENCRYPTED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


@dataclass
class Secured:
    """A server with TLS, known as 127.0.0.1 only, and the authorities that there are."""

    server: EmbeddedPostgres
    ours: Authority
    other: Authority
    folder: Path

    def url(self, host: str = "127.0.0.1", query: str = "") -> str:
        return self.server.url("postgres").replace("@127.0.0.1", f"@{host}") + query

    def use(self, authority: Authority) -> None:
        """Give the server a certificate of this authority."""
        files = zip(
            authority.sign("server", "127.0.0.1"), ("server.crt", "server.key"), strict=True
        )
        account = account_for(self.server.data)
        for made, name in files:
            file = self.server.data / name
            shutil.copy(made, file)
            file.chmod(0o600)
            account.own(file)
        with psycopg.connect(self.server.url("postgres"), autocommit=True) as session:
            session.execute("ALTER SYSTEM SET ssl = on")
            session.execute("SELECT pg_reload_conf()")
        until(self._speaks_tls, seconds=60, what="new sessions use TLS")

    def _speaks_tls(self) -> bool:
        with psycopg.connect(self.server.url("postgres")) as session:
            return session.execute(ENCRYPTED).fetchone() == (True,)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("tls")
    with postgres.private_server(install=machine.postgres_with_tls()) as server:
        made = Secured(server, Authority(folder, "ours"), Authority(folder, "other"), folder)
        made.use(made.ours)
        yield made


def database(url: str, authority: Authority | Path | None = None) -> Database:
    file = authority.certificate if isinstance(authority, Authority) else authority
    given = {"database_ca_file": str(file)} if file else {}
    return Database.of(postgres.settings_of(url, **given), application="tests")


async def encrypted(db: Database) -> bool:
    try:
        return bool(await db.fetchval(ENCRYPTED))
    finally:
        await db.close()


async def refusal(db: Database) -> str:
    """Return why it is refused, which must be told at once and in one line."""
    with pytest.raises(DatabaseRefused) as caught:
        await wait_for_database(db, 60)
    await db.close()
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_the_right_ca_and_name_are_accepted(secured: Secured) -> None:
    assert await encrypted(database(secured.url(), secured.ours))
    pooled = postgres.settings_of(
        secured.url(),
        database_ca_file=str(secured.ours.certificate),
        database_pooler="transaction",
    )
    assert await encrypted(Database.of(pooled, application="tests"))


async def test_another_authoritys_certificate_is_refused(secured: Secured) -> None:
    told = await refusal(database(secured.url(), secured.other))
    assert told.startswith("the certificate of the database 127.0.0.1:")
    assert "cannot be trusted: unable to get local issuer certificate" in told
    assert "TIDEMILL_DATABASE_CA_FILE" in told


async def test_another_servers_name_is_refused(secured: Secured) -> None:
    told = await refusal(database(secured.url("localhost"), secured.ours))
    assert told.startswith("the certificate of the database localhost:")
    assert "Hostname mismatch" in told


@pytest.mark.parametrize("mode", ["require", "verify-full"])
async def test_a_ca_means_verify_full(secured: Secured, mode: str) -> None:
    query = f"?sslmode={mode}"
    assert await encrypted(database(secured.url(query=query), secured.ours))
    await refusal(database(secured.url("localhost", query), secured.ours))


async def test_verify_ca_in_the_address_spares_the_name_only(secured: Secured) -> None:
    url = secured.url("localhost", "?sslmode=verify-ca")
    assert await encrypted(database(url, secured.ours))
    await refusal(database(url, secured.other))


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer"])
def test_an_address_that_verifies_nothing_contradicts_the_ca(secured: Secured, mode: str) -> None:
    with pytest.raises(ConfigurationError, match=f"sslmode={mode} .* verifies nothing"):
        database(secured.url(query=f"?sslmode={mode}"), secured.ours)


@pytest.mark.parametrize(
    ("query", "expected"), [("", True), ("?sslmode=require", True), ("?sslmode=disable", False)]
)
async def test_without_a_ca_the_address_decides(
    secured: Secured, query: str, expected: object
) -> None:
    assert await encrypted(database(secured.url(query=query))) is expected


async def test_a_server_without_tls_is_not_spoken_to(
    private_server: EmbeddedPostgres, secured: Secured
) -> None:
    db = database(private_server.url("postgres"), secured.ours)
    with pytest.raises(DatabaseUnavailable, match="rejected SSL upgrade"):
        await db.fetchval("SELECT 1")
    await db.close()


async def test_the_ca_is_read_again_at_each_connect(secured: Secured) -> None:
    mounted = secured.folder / "ca.crt"
    shutil.copy(secured.other.certificate, mounted)
    db = database(secured.url(), mounted)
    with pytest.raises(DatabaseRefused):
        await db.fetchval("SELECT 1")
    shutil.copy(secured.ours.certificate, mounted)
    assert await encrypted(db)


async def test_a_listener_verifies_too(secured: Secured) -> None:
    settings = postgres.settings_of(
        secured.url("localhost"), database_ca_file=str(secured.ours.certificate)
    )
    listener = Listener(settings, application="listens")
    with pytest.raises(DatabaseRefused, match="Hostname mismatch"):
        await listener.run_once()
    await listener.stop()


def test_the_ca_goes_into_the_address_and_the_rest_of_it_stays(secured: Secured) -> None:
    ca = str(secured.ours.certificate)
    url = "postgresql://u:p%40@h/d?sslcert=%2Fa%20b.crt"
    settings = Settings(database_url=url, database_ca_file=ca)
    given: str = connect_options(settings, application="tests")["dsn"]
    assert given.startswith("postgresql://u:p%40@h/d?")
    query = dict(parse_qsl(urlsplit(given).query))
    assert query == {"sslcert": "/a b.crt", "sslrootcert": ca, "sslmode": "verify-full"}
