"""Settings: from the environment, checked, and shown without secrets."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.address import connect_options
from tidemill.errors import ConfigurationError
from tidemill.setting import about, variable_of
from tidemill.settings import Settings


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("TIDEMILL_CONCURRENCY", "x", "TIDEMILL_CONCURRENCY must be a whole number (got 'x')"),
        ("TIDEMILL_CONCURRENCY", "1.5", "TIDEMILL_CONCURRENCY must be a whole number (got '1.5')"),
        ("TIDEMILL_CONCURRENCY", "0", "TIDEMILL_CONCURRENCY must be 1 to 10000 (got 0)"),
        ("TIDEMILL_LEASE_SECONDS", "x", "TIDEMILL_LEASE_SECONDS must be a number (got 'x')"),
        ("TIDEMILL_LEASE_SECONDS", "nan", "TIDEMILL_LEASE_SECONDS must be 1 to 86400 s (got nan)"),
        ("TIDEMILL_LEASE_SECONDS", "inf", "TIDEMILL_LEASE_SECONDS must be 1 to 86400 s (got inf)"),
        ("TIDEMILL_LOG_LEVEL", "loud", "must be one of debug, info, warning, error (got 'loud')"),
    ],
)
def test_a_bad_value_names_variable_rule_and_value(variable: str, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.load({variable: text})
    assert message in str(caught.value)


def test_overrides_come_before_variables_and_none_counts_as_absent() -> None:
    environ = {"TIDEMILL_API_PORT": "81", "TIDEMILL_APP": "", "OTHER": "x"}
    loaded = Settings.load(environ, api_port=82, concurrency=None)
    assert (loaded.api_port, loaded.concurrency, loaded.app) == (82, Settings().concurrency, "")
    assert Settings.load(environ).api_port == 81
    with pytest.raises(ConfigurationError, match="no such setting: prot"):
        Settings.load({}, prot=1)


@pytest.mark.parametrize("each", fields(Settings), ids=lambda each: each.name)
def test_every_setting_is_documented_and_its_default_is_within_its_range(each: Any) -> None:
    known = about(each)
    assert known.meaning
    assert known.group
    if each.type in (int, float):
        assert known.least is not None
        assert known.most is not None
        assert known.least <= each.default <= known.most
    default = getattr(Settings.load({variable_of(each.name): str(each.default)}), each.name)
    assert default == each.default


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:s3cret@h:5432/d", "postgresql://u:***@h:5432/d"),
        ("postgresql://h/d?user=u&password=s3cret&x=1", "postgresql://h/d?user=u&password=***&x=1"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("postgresql://u:s3cret@[h/d", "***"),
        ("", ""),
    ],
)
def test_shown_settings_hold_no_password(url: str, shown: str) -> None:
    settings = Settings.load({"TIDEMILL_DATABASE_URL": url, "TIDEMILL_DATABASE_DIRECT_URL": url})
    assert settings.shown()["database_url"] == shown
    assert "s3cret" not in str(settings.shown())


@given(st.text(), st.sampled_from([each.name for each in fields(Settings)]))
def test_any_text_loads_or_is_refused_in_one_line(text: str, name: str) -> None:
    message = variable_of(name)
    try:
        Settings.load({variable_of(name): text}).shown()
    except ConfigurationError as error:
        message = str(error)
    assert message.startswith(variable_of(name))


def test_the_direct_address_stands_in_for_what_a_pooler_cannot_carry() -> None:
    url, direct = "postgresql://pooled/d", "postgresql://direct/d"
    assert Settings(database_url=url).direct_url == url
    assert Settings(database_url=url, database_direct_url=direct).direct_url == direct
    assert Settings(database_url=url, database_pooler="transaction").direct_url == ""


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "TIDEMILL_DATABASE_URL must be set"),
        ({"database_url": "mysql://h/d"}, "must start with postgresql:// or postgres://"),
        ({"database_url": "postgresql://u:p@[h/d"}, "TIDEMILL_DATABASE_URL"),
        ({"database_url": "postgresql://u:p@h:port/d"}, "TIDEMILL_DATABASE_URL"),
        (
            {"database_url": "postgresql://h/d", "database_ca_file": "/no/such.crt"},
            "TIDEMILL_DATABASE_CA_FILE",
        ),
    ],
)
def test_an_address_that_cannot_work_is_one_clear_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        connect_options(Settings(**given), application="tests")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "u:p" not in str(caught.value)


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    file = tmp_path / "ca.crt"
    file.write_text("no certificate")
    settings = Settings(database_url="postgresql://h/d", database_ca_file=str(file))
    with pytest.raises(ConfigurationError, match="TIDEMILL_DATABASE_CA_FILE"):
        connect_options(settings, application="tests")


def test_a_pooler_gets_no_session_settings_and_no_cached_statements() -> None:
    url = "postgresql://h/d"
    pooled = connect_options(
        Settings(database_url=url, database_pooler="transaction"), application="a"
    )
    assert pooled["statement_cache_size"] == 0
    assert set(pooled["server_settings"]) == {"application_name"}
    plain = connect_options(Settings(database_url=url), application="a")
    assert plain["server_settings"]["enable_seqscan"] == "off"
