"""What is taken out of errors and log lines, what stays, and that it does not take for ever."""

import re
import time
from dataclasses import replace

import pytest

from tidemill import App, redaction
from tidemill.failures import MESSAGE_CHARACTERS, error_record
from tidemill.redaction import Redactor, redact_value
from tidemill.settings import Settings
from tidemill_worker.conclude import described

rules = Redactor({})


@pytest.fixture(autouse=True)
def own_process(monkeypatch: pytest.MonkeyPatch) -> Redactor:
    """A redactor of the process that is only this test's."""
    own = Redactor({})
    monkeypatch.setattr(redaction, "process", own)
    return own


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("connect postgresql://u:p4ss@host/db", "connect postgresql://u:***@host/db"),
        ("redis://:secretpw@h:6379", "redis://:***@h:6379"),
        ("an unquoted http://u:p/w@rd@h/x", "an unquoted http://u:***@h/x"),
        ("?sslmode=require&password=p4ss&x=1", "?sslmode=require&password=***&x=1"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("{'Authorization': 'Basic Zm9v'}", "{'Authorization': 'Basic ***'}"),
        ("sent bearer abcd1234efgh", "sent bearer ***"),
        ("password=p4ss, user=x", "password=***, user=x"),
        ("{'password': 'a b c', 'x': 1}", "{'password': ***, 'x': 1}"),
        ('{"api_key":"k"}', '{"api_key":***}'),
        (r'"{\"password\": \"a b\", \"x\": 1}"', r'"{\"password\": ***\", \"x\": 1}"'),
        ("SECRET_KEY = 'x'", "SECRET_KEY = ***"),
        ("client_secret: x", "client_secret: ***"),
        ("prog --db-password p4ss --verbose", "prog --db-password *** --verbose"),
        ("Set-Cookie: session=1", "Set-Cookie: ***"),
        ("AKIAABCDEFGHIJKLMNOP", "AKIA***"),
        ("ghp_0123456789abcdefABCD", "ghp_***"),
        ("tm_0123456789abcdefghijklmno-PQRSTUVWXYZ_0123456", "tm_***"),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.c2ln", "eyJ***"),
        (
            "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----***-----END PRIVATE KEY-----",
        ),
    ],
)
def test_a_secret_is_hidden_where_it_is_named_or_shaped_like_one(text: str, shown: str) -> None:
    assert rules(text) == shown
    assert rules(shown) == shown, "what is hidden stays as it is"


@pytest.mark.parametrize(
    "text",
    [
        "lease_token=5 max_tokens=100 token=None password: str",
        'password authentication failed for user "app"',
        "the bearer certificate expired",
        "http://127.0.0.1:8080/api/tasks",
        "if token == expected: # compared",
        "user@example.org wrote at 10:30",
        "tidemill::secret::module",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert rules(text) == text


def test_values_of_the_environment_are_hidden_wherever_they_stand() -> None:
    redactor = Redactor(
        {
            "STRIPE_SECRET": "very-secret-value",
            "DB_PWD": "another-one",
            "TIDEMILL_DATABASE_URL": "postgresql://app:p%40ssword@db/tidemill",
            "OTHER_URL": "postgresql://db/x?user=app&sslpassword=in-the-query",
            "PWD": "/home/somebody",
            "DB_PASSWORD_FILE": "/etc/db/password",
            "SHORT_TOKEN": "dev",
            "HOME": "/home/somebody",
        }
    )
    assert redactor("got very-secret-value and another-one") == "got *** and ***"
    assert redactor("login p@ssword or p%40ssword") == "login *** or ***"
    assert redactor("it was in-the-query") == "it was ***"
    kept = "dev work in /home/somebody by /etc/db/password"
    assert redactor(kept) == kept


def test_a_password_that_is_the_user_s_name_hides_no_other_word() -> None:
    redactor = Redactor({"DATABASE_URL": "postgresql://postgres:postgres@db/tidemill"})
    assert redactor("postgres at postgresql://postgres:postgres@db/x") == (
        "postgres at postgresql://postgres:***@db/x"
    )


def test_an_environment_that_changes_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    environ: dict[str, str] = {}
    redactor = Redactor(environ)
    assert redactor("late-secret") == "late-secret"
    environ["API_TOKEN"] = "late-secret"
    monkeypatch.setattr(redaction, "_REFRESH_SECONDS", 0.0)
    assert redactor("late-secret") == "***"


def test_secret_settings_are_hidden_wherever_they_were_given(own_process: Redactor) -> None:
    settings = replace(Settings(), database_url="postgresql://app:from-a-flag@db/x")
    redaction.hide(settings)
    assert own_process("it was from-a-flag") == "it was ***"


def test_an_app_adds_rules_of_its_own() -> None:
    App(redact=lambda text: re.sub(r"\b\d{16}\b", "<card>", text))
    assert redaction.redact("card 4111111111111111, token=x") == "card <card>, token=***"


@pytest.mark.parametrize(
    ("own", "why"), [(lambda _: 1 // 0, "ZeroDivisionError"), (lambda _: None, "NoneType")]
)
def test_a_rule_that_fails_lets_nothing_through(own: redaction.Redact, why: str) -> None:
    App(redact=own)
    shown = redaction.redact("something secret")
    assert "something" not in shown
    assert why in shown


def test_a_recorded_error_holds_no_secret_also_where_it_is_cut() -> None:
    secret = "tail-of-secret"
    redaction.process.hide(secret)
    message = "x" * (MESSAGE_CHARACTERS - 4) + secret
    assert "tail" not in error_record("E", message)["message"]
    assert "tail" not in error_record("E", "m", secret + "x" * 3990)["traceback"]


def test_an_attempt_s_error_holds_no_secret_in_message_or_traceback() -> None:
    def handler() -> None:
        raise ValueError("password=p4ss")

    with pytest.raises(ValueError, match="p4ss") as raised:
        handler()
    recorded = described(raised.value)
    assert recorded["message"] == "password=***"
    assert "p4ss" not in recorded["traceback"]


def test_fields_are_redacted_by_their_names_and_inside() -> None:
    value = {"password": "x", "inner": [{"url": "http://u:p4ss@h"}, 3], "n": 1, "token": ""}
    assert redact_value(value) == {
        "password": "***",
        "inner": [{"url": "http://u:***@h"}, 3],
        "n": 1,
        "token": "",
    }


@pytest.mark.parametrize(
    "piece",
    [
        "a", "://", "://a:", "://a:b", "password", "--password ", "authorization: ", "bearer ",
        "-----BEGIN PRIVATE KEY-----", "eyJ", "password ", "-", "token=\\", 'secret:"', "--a-",
        "token=token", "ghp_", "key ", "authorization: basic ",
    ],
)  # fmt: skip
def test_no_text_takes_long(piece: str) -> None:
    text = piece * (100_000 // len(piece)) + " password"
    began = time.process_time()
    rules(text)
    assert time.process_time() - began < 10, "quadratic"
