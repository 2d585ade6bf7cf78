"""The server and our login on it: version, settings, privileges, connections."""

from typing import Any, Final

from tidemill.doctor.finding import Finding, Level, Row, Rows, duration, listed, ok, plural, quoted

OLDEST, NEWEST = 14, 18
"""Major versions of Postgres that Tidemill is tested on."""
LOW_SHARE, LOW_COUNT = 0.1, 3
"""Free connections: fewer than this share are a warning, fewer than this count a problem."""

_SWITCHES: Final[dict[str, tuple[str, Level, str]]] = {
    "fsync": ("off", Level.PROBLEM, "a power cut may destroy the whole database"),
    "full_page_writes": ("off", Level.PROBLEM, "a power cut may destroy pages of the database"),
    "synchronous_commit": (
        "off",
        Level.PROBLEM,
        "a crash of the server may lose tasks that were acknowledged, and outcomes",
    ),
    "autovacuum": ("off", Level.PROBLEM, "dead rows stay, and claims become slower and slower"),
    "track_counts": ("off", Level.PROBLEM, "autovacuum does not know where its work is"),
    "track_activities": (
        "off",
        Level.NOTE,
        "who holds back vacuum, and for how long, cannot be told",
    ),
}
_SCOPES: Final = {
    "total": "of the server",
    "of_database": "of this database",
    "of_login": "of this login",
}
_HOW: Final = {
    "client": "take {name} out of the options of TIDEMILL_DATABASE_URL",
    "command line": "take {name} off the server's command line and restart it",
    "database": "ALTER DATABASE {database} RESET {name}",
    "user": "ALTER ROLE {login} RESET {name}",
    "database user": "ALTER ROLE {login} IN DATABASE {database} RESET {name}",
}


def version(rows: Rows) -> list[Finding]:
    """Judge the server's version and whether it takes writes."""
    row = rows[0]
    major = row["version_num"] // 10000
    figures = {"version": row["version"], "in_recovery": row["in_recovery"]}
    if row["in_recovery"]:
        finding = f"Postgres {row['version']} at this address is a standby: nothing can be written"
        advice = "name the primary; over several hosts: ?target_session_attrs=read-write"
        return [Finding("server", Level.PROBLEM, finding, advice, figures)]
    if OLDEST <= major <= NEWEST:
        return ok("server", f"Postgres {row['version']}, takes writes", **figures)
    finding = f"Postgres {row['version']} is not tested with Tidemill ({OLDEST} to {NEWEST} are)"
    if major < OLDEST:
        return [Finding("server", Level.PROBLEM, finding, "upgrade the server", figures)]
    return [Finding("server", Level.NOTE, finding, "look for a newer Tidemill", figures)]


def settings(rows: Rows) -> list[Finding]:
    """Judge server settings that endanger what is stored, or vacuum."""
    row = rows[0]
    found = [
        _switched(row, name, *rule) for name, rule in _SWITCHES.items() if row[name] == rule[0]
    ]
    if row["default_transaction_isolation"] != "read committed":
        found.append(_isolation(row))
    if row["default_transaction_read_only"] == "on":
        found.append(
            _switched(
                row, "default_transaction_read_only", "on", Level.PROBLEM, "nothing is stored"
            )
        )
    return found or ok("settings", "none of the server's settings endangers tasks or vacuum")


def _switched(row: Row, name: str, value: str, level: Level, effect: str) -> Finding:
    how = _HOW.get(
        dict(each.split("=", 1) for each in row["sources"]).get(name, ""),
        "ALTER SYSTEM RESET {name}; SELECT pg_reload_conf()",
    )
    advice = how.format(name=name, login=quoted(row["login"]), database=quoted(row["database"]))
    return Finding("settings", level, f"{name} is {value}: {effect}", advice, {name: value})


def _isolation(row: Row) -> Finding:
    value = row["default_transaction_isolation"]
    effect = "statements of the queue rely on read committed, and many of them fail"
    return _switched(row, "default_transaction_isolation", value, Level.PROBLEM, effect)


def login(rows: Rows) -> list[Finding]:
    """Judge what this login may do, and what it may see."""
    row = rows[0]
    figures = {"login": row["login"], "superuser": row["superuser"], "roles": row["roles"]}
    found = [*_rights(row, figures)]
    if not row["sees_all"]:
        found.append(
            Finding(
                "login",
                Level.NOTE,
                f"{row['login']} may not see what sessions of other logins do: of their "
                "transactions only the age in transactions is known, not the time",
                f"GRANT pg_read_all_stats TO {quoted(row['login'])}",
                figures,
            )
        )
    roles = listed(row["roles"]) or "no role of ours"
    return found or ok("login", f"{row['login']} is a member of {roles}", **figures)


def _rights(row: Row, figures: dict[str, Any]) -> list[Finding]:
    name = row["login"]
    if row["superuser"]:
        finding = f"{name} is a superuser: a process of Tidemill needs no more than tidemill_app"
        advice = "CREATE ROLE tidemill LOGIN PASSWORD '…' IN ROLE tidemill_app"
        return [Finding("login", Level.NOTE, finding, advice, figures)]
    if "tidemill_app" not in row["roles"] and "tidemill_operator" not in row["roles"]:
        finding = (
            f"{name} is no member of tidemill_app: API and workers cannot work with this login"
        )
        advice = f"GRANT tidemill_app TO {quoted(name)}"
        return [Finding("login", Level.PROBLEM, finding, advice, figures)]
    if row["lacking"] and "tidemill_app" in row["roles"]:
        finding = f"tidemill_app lacks privileges: {listed(row['lacking'])}"
        advice = (
            "privileges were lost, as pg_restore --no-privileges does: restore with them, or run "
            "the GRANTs at the end of each migration (tidemill/sql/migrations)"
        )
        return [Finding("login", Level.PROBLEM, finding, advice, figures)]
    return []


def connections(rows: Rows) -> list[Finding]:
    """Judge how many connections are left: of the server, the database and the login."""
    free, whose, used, limit = min(_left(rows, scope, whose) for scope, whose in _SCOPES.items())
    names = [f"{row['application_name'] or 'without a name'} {row['total']}" for row in rows]
    finding = f"{used} of {plural(limit, 'connection')} {whose} used, {free} free ({listed(names)})"
    by_application = {row["application_name"]: row["total"] for row in rows}
    figures = {"used": used, "limit": limit, "free": free, "by_application": by_application}
    if free >= max(LOW_COUNT, limit * LOW_SHARE):
        return ok("connections", finding, **figures)
    level = Level.PROBLEM if free < LOW_COUNT else Level.WARNING
    advice = (
        "fewer or smaller pools (TIDEMILL_DATABASE_POOL_SIZE), a pooler in transaction mode "
        "(TIDEMILL_DATABASE_POOLER=transaction), or a higher limit (max_connections, and a "
        "restart; ALTER DATABASE or ALTER ROLE … CONNECTION LIMIT)"
    )
    return [Finding("connections", level, finding, advice, figures)]


def _left(rows: Rows, scope: str, whose: str) -> tuple[int, str, int, int]:
    used = sum(row[scope] for row in rows)
    limit = rows[0][f"{scope}_limit"]
    return (1 << 31 if limit is None else limit - used, whose, used, limit or 0)


def clock(offset: float, round_trip: float) -> list[Finding]:
    """Judge how far this machine's clock is from the server's; both in seconds."""
    figures = {"offset_seconds": round(offset, 4), "round_trip_seconds": round(round_trip, 4)}
    side = "ahead of" if offset > 0 else "behind"
    finding = (
        f"this machine's clock is {duration(abs(offset))} {side} Postgres's "
        f"(± {duration(round_trip / 2)})"
    )
    if abs(offset) <= 1 + round_trip / 2:
        return ok("clock", finding, **figures)
    advice = (
        "let NTP set both; no task depends on it (only Postgres tells the time), reading logs does"
    )
    return [Finding("clock", Level.NOTE, finding, advice, figures)]
