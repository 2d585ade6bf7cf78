"""Cron slots: what the expressions mean, and what a change of the clocks does to them."""

import zoneinfo
from datetime import UTC, datetime, timedelta

import pytest

from tidemill import cron

# 2026: clocks go from 02:00 to 03:00 on 29 March, and from 03:00 to 02:00 on 25 October
ROME = "Europe/Rome"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def slots(expression: str, zone: str, after: str, until: str) -> list[str]:
    found = cron.slots_between(expression, zone, utc(after), utc(until))
    return [f"{slot:%d %H:%M}" for slot in found]


@pytest.mark.parametrize(
    ("expression", "following"),
    [
        ("*/15 * * * *", "2026-01-31T12:15"),
        ("0 3 * * *", "2026-02-01T03:00"),
        ("30 9 * * MON-FRI", "2026-02-02T09:30"),
        ("0 0 1,15 * *", "2026-02-01T00:00"),
        ("0 0 L * *", "2026-02-28T00:00"),
        ("0 0 29 2 *", "2028-02-29T00:00"),
        ("0 12 * * 1#2", "2026-02-09T12:00"),
        ("0 12 * * FRI#2,5L", "2026-02-13T12:00"),
        ("0 0 13 * FRI", "2026-02-06T00:00"),  # both days given: either, as in every cron
        ("  0  12\t* * 7 ", "2026-02-01T12:00"),
        ("@hourly", "2026-01-31T13:00"),
        ("@daily", "2026-02-01T00:00"),
        ("@midnight", "2026-02-01T00:00"),
        ("@weekly", "2026-02-01T00:00"),
        ("@monthly", "2026-02-01T00:00"),
        ("@yearly", "2027-01-01T00:00"),
        ("@annually", "2027-01-01T00:00"),
    ],
)
def test_the_first_slot_after_a_saturday_noon(expression: str, following: str) -> None:
    assert cron.faults(expression, "UTC") == []
    assert cron.next_slot(expression, "UTC", utc("2026-01-31T12:00")) == utc(following)


def test_a_zone_moves_the_slot() -> None:
    after = utc("2026-01-31T12:00")
    assert cron.next_slot("0 9 * * *", "Asia/Tokyo", after) == utc("2026-02-01T00:00")
    assert cron.next_slot("0 9 * * *", "America/New_York", after) == utc("2026-01-31T14:00")
    assert cron.next_slot("0 9 * * *", "Asia/Kathmandu", after) == utc("2026-02-01T03:15")


def test_a_daily_job_in_the_gap_runs_once_at_its_end() -> None:
    days = slots("30 2 * * *", ROME, "2026-03-27T12:00", "2026-03-31T00:00")
    assert days == ["28 01:30", "29 01:00", "30 00:30"]  # 02:30, 03:00, 02:30 in Rome


def test_times_that_fall_together_after_the_gap_are_one_slot() -> None:
    night = slots("0,20,40 2,3 * * *", ROME, "2026-03-29T00:00", "2026-03-29T02:00")
    assert night == [
        "29 01:00",
        "29 01:20",
        "29 01:40",
    ]  # 03:00 is also what 02:00 ... 02:40 came to


def test_every_15_minutes_goes_on_through_the_gap() -> None:
    night = slots("*/15 * * * *", ROME, "2026-03-29T00:30", "2026-03-29T01:30")
    assert night == ["29 00:45", "29 01:00", "29 01:15", "29 01:30"]


def test_a_wildcard_of_an_hour_that_is_left_out_does_not_run() -> None:
    assert slots("*/15 2 * * *", ROME, "2026-03-29T00:00", "2026-03-29T12:00") == []


def test_a_daily_job_in_the_overlap_runs_once_at_the_first_of_both_times() -> None:
    days = slots("30 2 * * *", ROME, "2026-10-23T12:00", "2026-10-27T00:00")
    assert days == ["24 00:30", "25 00:30", "26 01:30"]
    # asked in the second pass, when the wall clock has yet to show 02:30 again
    assert cron.next_slot("30 2 * * *", ROME, utc("2026-10-25T01:10")) == utc("2026-10-26T01:30")


def test_every_15_minutes_is_every_15_minutes_in_the_overlap() -> None:
    night = slots("*/15 * * * *", ROME, "2026-10-24T23:59", "2026-10-25T02:00")
    assert night == [
        f"25 {hour:02}:{minute:02}" for hour in (0, 1) for minute in (0, 15, 30, 45)
    ] + ["25 02:00"]


def test_hourly_is_hourly_whatever_the_clocks_do() -> None:
    for night in ("2026-03-29", "2026-10-25"):
        hours = slots("@hourly", ROME, f"{night}T00:00", f"{night}T05:00")
        assert [hour[3:] for hour in hours] == ["01:00", "02:00", "03:00", "04:00", "05:00"]


def test_clocks_that_change_by_half_an_hour() -> None:
    # Lord Howe: 02:00 becomes 01:30 on 5 April 2026, at 15:00 UTC the day before
    passes = slots("30,45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00", "2026-04-05T12:00")
    assert passes == ["04 14:30", "04 14:45"]
    passes = slots("*/15 1-2 * * *", "Australia/Lord_Howe", "2026-04-04T14:00", "2026-04-04T16:00")
    assert passes == [
        *("04 14:15", "04 14:30", "04 14:45"),
        *("04 15:00", "04 15:15", "04 15:30", "04 15:45", "04 16:00"),
    ]


def test_clocks_that_change_at_midnight() -> None:
    # Cairo: 24 April 2026 begins at 01:00
    days = slots("@daily", "Africa/Cairo", "2026-04-22T12:00", "2026-04-25T12:00")
    assert days == ["22 22:00", "23 22:00", "24 21:00"]


def test_the_latest_of_many_missed_slots() -> None:
    now = utc("2026-06-01T12:34:56")
    long_ago = now - timedelta(days=3000)
    assert cron.latest_slot("* * * * *", ROME, long_ago, now) == utc("2026-06-01T12:34")
    assert cron.latest_slot("0 0 1 1 *", "UTC", long_ago, now) == utc("2026-01-01T00:00")
    assert cron.latest_slot("0 12 * * *", "UTC", utc("2026-06-01T12:01"), now) is None
    exact = utc("2026-06-01T12:00")
    assert cron.latest_slot("0 12 * * *", "UTC", exact, exact) == exact


def test_what_is_due() -> None:
    slot, now = utc("2026-06-01T10:00"), utc("2026-06-01T12:30")
    hourly = cron.due("@hourly", "UTC", slot, now)
    assert hourly == cron.Due(utc("2026-06-01T12:00"), utc("2026-06-01T13:00"))
    late = cron.due("@hourly", "UTC", slot, now, oldest=now - timedelta(minutes=1))
    assert late == cron.Due(None, utc("2026-06-01T13:00"))
    prompt = cron.due("@hourly", "UTC", slot, now, oldest=now - timedelta(minutes=30))
    assert prompt.slot == utc("2026-06-01T12:00")


def test_nothing_is_due_after_the_end() -> None:
    slot, now = utc("2026-06-01T10:00"), utc("2026-06-01T12:30")
    ended = cron.due("@hourly", "UTC", slot, now, ends_at=utc("2026-06-01T11:30"))
    assert ended == cron.Due(utc("2026-06-01T11:00"), None)
    before = cron.due("@hourly", "UTC", slot, now, ends_at=utc("2026-06-01T09:00"))
    assert before == cron.Due(None, None)
    last = cron.due("@hourly", "UTC", slot, now, ends_at=utc("2026-06-01T13:00"))
    assert last.next_slot == utc("2026-06-01T13:00")


@pytest.mark.parametrize(
    ("expression", "rule"),
    [
        ("", "must have 5 fields"),
        ("* * * *", "must have 5 fields"),
        ("0 * * * * *", "must have 5 fields"),  # seconds
        ("60 * * * *", "bad minute"),
        ("* 24 * * *", "bad hour"),
        ("* * 0 * *", "bad day-of-month"),
        ("* * * 13 *", "bad month"),
        ("* * * * 8", "bad day-of-week"),
        ("5-1 * * * *", "bad minute"),
        ("*/0 * * * *", "bad minute"),
        ("0 0 30 2 *", "bad day-of-month"),
        ("0 0 31 4,6 *", "bad day-of-month"),
        ("0 0 \u0661 * *", "bad day-of-month"),
        ("\0 * * * *", "bad minute"),
        ("@reboot", "must be one of @yearly"),
        ("@DAILY", "must be one of @yearly"),
        ("1," * 100 + "1 * * * *", "at most 200 characters"),
    ],
)
def test_a_bad_expression_is_told_by_field_rule_and_value(expression: str, rule: str) -> None:
    (fault,) = cron.faults(expression, "UTC")
    assert (fault.field, fault.value) == ("cron", expression)
    assert rule in fault.rule
    with pytest.raises(ValueError, match="cron: "):
        cron.next_slot(expression, "UTC", utc("2026-01-01T00:00"))


@pytest.mark.parametrize(
    "zone",
    [
        "",
        "Rome",
        "europe",
        "America",
        "../UTC",
        "/etc/passwd",
        "zone.tab",
        "\0",
        "\ud800",
        "x" * 999,
        *("localtime", "posixrules", "Factory", "right/Europe/Rome", "posix/UTC", "+02:00"),
    ],
)
def test_a_bad_zone_is_told_by_field_rule_and_value(zone: str) -> None:
    (fault,) = cron.faults("@daily", zone)
    assert (fault.field, fault.value) == ("time_zone", zone)
    assert "IANA" in fault.rule


def test_zones_are_there_without_the_systems_copy() -> None:
    """A minimal image has no /usr/share/zoneinfo: the package tzdata carries the zones."""
    zoneinfo.reset_tzpath(to=())
    try:
        zone = zoneinfo.ZoneInfo.no_cache(ROME)
    finally:
        zoneinfo.reset_tzpath()
    assert utc("2026-06-01T12:00").astimezone(zone).hour == 14


def test_every_fault_is_told() -> None:
    assert [fault.field for fault in cron.faults("x", "y")] == ["cron", "time_zone"]


def test_upcoming_slots_end_with_the_calendar() -> None:
    assert cron.upcoming("0 0 1 * *", "UTC", utc("2026-01-15T00:00"), 3) == [
        *(utc("2026-02-01T00:00"), utc("2026-03-01T00:00"), utc("2026-04-01T00:00"))
    ]
    assert cron.upcoming("@daily", "UTC", utc("2026-01-15T00:00"), 0) == []
