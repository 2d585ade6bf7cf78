"""Who keeps vacuum from its work: dead rows stay while somebody may still want to see them.

The claim steps over dead entries of its index, so one forgotten transaction slows a busy queue.
"""

from tidemill.doctor.finding import (
    Finding,
    Level,
    Row,
    Rows,
    duration,
    literal,
    ok,
    plural,
    quoted,
    size,
)

LONG_SECONDS = 60.0
VERY_LONG_SECONDS = 1800.0
OLD_TRANSACTIONS = 1_000_000
VERY_OLD_TRANSACTIONS = 50_000_000
MUCH_WAL = 1 << 30
VERY_MUCH_WAL = 10 << 30
WRAP_WARNING = 1_000_000_000
WRAP_PROBLEM = 1_800_000_000


def transactions(rows: Rows) -> list[Finding]:
    """Judge open transactions. Times of other logins' sessions may be hidden (None)."""
    found = [_transaction(row, level) for row in rows if (level := _age_level(row))]
    held = "no transaction holds back vacuum for long"
    return found or ok("transactions", f"{held} ({plural(len(rows), 'session')} with a snapshot)")


def _transaction(row: Row, level: Level) -> Finding:
    who = f"{row['application_name'] or 'an application without a name'!s}"
    since = "for a time that this login may not see"
    if row["seconds"] is not None:
        since = f"for {duration(row['seconds'])}"
    state = f" ({row['state']})" if row["state"] else ""
    login = row["usename"] or "unknown"
    return Finding(
        "transactions",
        level,
        f"a transaction of {who}, login {login}, pid {row['pid']}{state} is open {since} and holds "
        f"back vacuum over {plural(row['transactions'], 'transaction')}",
        f"end it: SELECT pg_terminate_backend({row['pid']}); so that it does not happen again: "
        f"ALTER ROLE {quoted(login)} SET idle_in_transaction_session_timeout = '60s'",
        _figures(row, "pid", "application_name", "usename", "state", "seconds", "transactions"),
    )


def prepared(rows: Rows) -> list[Finding]:
    """Judge two-phase transactions that nobody has ended."""
    return [_prepared(row, level) for row in rows if (level := _age_level(row))] or ok(
        "prepared_transactions", f"{plural(len(rows), 'prepared transaction')}, none old"
    )


def _prepared(row: Row, level: Level) -> Finding:
    gid = literal(row["gid"])
    return Finding(
        "prepared_transactions",
        level,
        f"the prepared transaction {gid} of {row['owner']} waits for its end for "
        f"{duration(row['seconds'])} and holds back vacuum over "
        f"{plural(row['transactions'], 'transaction')}",
        f"ask its coordinator, then COMMIT PREPARED {gid} or ROLLBACK PREPARED {gid}",
        _figures(row, "gid", "owner", "seconds", "transactions"),
    )


def standbys(rows: Rows) -> list[Finding]:
    """Judge what standbys ask the primary to keep (hot_standby_feedback)."""
    old = [row for row in rows if (row["transactions"] or 0) >= OLD_TRANSACTIONS]
    found = [
        Finding(
            "standbys",
            Level.PROBLEM if row["transactions"] >= VERY_OLD_TRANSACTIONS else Level.WARNING,
            f"the standby {row['application_name'] or row['pid']} holds back vacuum over "
            f"{plural(row['transactions'], 'transaction')} (hot_standby_feedback)",
            "end the long query on the standby, or there: ALTER SYSTEM SET hot_standby_feedback = "
            "off; SELECT pg_reload_conf()",
            _figures(row, "pid", "application_name", "transactions"),
        )
        for row in old
    ]
    return found or ok(
        "standbys", f"{plural(len(rows), 'standby connection')}, none holds back vacuum"
    )


def slots(rows: Rows) -> list[Finding]:
    """Judge replication slots: what they keep of old rows, and of the write-ahead log."""
    found = [_slot(row, level) for row in rows if (level := _slot_level(row))]
    kept = sum(row["wal_bytes"] or 0 for row in rows)
    return found or ok(
        "replication_slots", f"{plural(len(rows), 'replication slot')}, {size(kept)} of WAL kept"
    )


def _slot_level(row: Row) -> Level | None:
    wal = row["wal_bytes"] or 0
    age = max(row["transactions"] or 0, row["catalog_transactions"] or 0)
    if row["wal_status"] in ("unreserved", "lost") or wal >= VERY_MUCH_WAL:
        return Level.PROBLEM
    if age >= VERY_OLD_TRANSACTIONS:
        return Level.PROBLEM
    if wal >= MUCH_WAL or age >= OLD_TRANSACTIONS:
        return Level.WARNING
    return None if row["active"] else Level.NOTE


def _slot(row: Row, level: Level) -> Finding:
    name = row["slot_name"]
    state = "in use" if row["active"] else "used by nobody"
    rows_of = row["transactions"] or 0
    catalog = row["catalog_transactions"] or 0
    return Finding(
        "replication_slots",
        level,
        f"the {row['slot_type']} replication slot {name} is {state}, keeps "
        f"{size(row['wal_bytes'] or 0)} of WAL ({row['wal_status']}) and holds back vacuum over "
        f"{plural(rows_of, 'transaction')} (of system tables: {catalog:,})",
        "let its reader catch up; if nobody needs it: "
        f"SELECT pg_drop_replication_slot({literal(name)})",
        _figures(
            row, "slot_name", "active", "wal_bytes", "wal_status", "transactions",
            "catalog_transactions",
        ),
    )  # fmt: skip


def wraparound(rows: Rows) -> list[Finding]:
    """Judge how far the oldest unfrozen transaction of the database is behind."""
    age = rows[0]["age"]
    level = _above(age, WRAP_WARNING, WRAP_PROBLEM)
    if level is None:
        return ok("wraparound", f"the oldest unfrozen row is {age:,} transactions old", age=age)
    return [
        Finding(
            "wraparound",
            level,
            f"the oldest unfrozen row is {age:,} transactions old; at 2,146,483,647 the server "
            "stops taking writes",
            "end what holds back vacuum (see above), then: VACUUM (FREEZE, VERBOSE)",
            {"age": age},
        )
    ]


def _age_level(row: Row) -> Level | None:
    if row["seconds"] is None:
        return _above(row["transactions"], OLD_TRANSACTIONS, VERY_OLD_TRANSACTIONS)
    return _above(row["seconds"], LONG_SECONDS, VERY_LONG_SECONDS)


def _above(value: float, warning: float, problem: float) -> Level | None:
    if value >= problem:
        return Level.PROBLEM
    return Level.WARNING if value >= warning else None


def _figures(row: Row, *names: str) -> dict[str, object]:
    return {name: row[name] for name in names}
