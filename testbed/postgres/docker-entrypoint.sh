#!/bin/sh
# Start Postgres; on the first start make the database first, as the official image does.
#
#   POSTGRES_PASSWORD, or POSTGRES_PASSWORD_FILE   required on the first start,
#   POSTGRES_HOST_AUTH_METHOD=trust                 unless this is given
#   POSTGRES_USER (postgres), POSTGRES_DB (the user's name), POSTGRES_INITDB_ARGS, PGDATA
#   /docker-entrypoint-initdb.d/*.sh, *.sql, *.sql.gz   run once, in the order of their names
set -eu

fail() { echo "entrypoint: $*" >&2; exit 1; }

# The value of a variable, or the content of the file that VARIABLE_FILE names.
setting() { # NAME DEFAULT
    eval "value=\${$1:-} file=\${$1_FILE:-}"
    [ -z "$value" ] || [ -z "$file" ] || fail "$1 and $1_FILE are both set"
    [ -z "$file" ] || value=$(cat "$file")
    printf '%s' "${value:-$2}"
}

# Scripts may change what is exported here, and call `psql` bare: it finds the local server.
run_scripts() {
    for script in /docker-entrypoint-initdb.d/*; do
        case $script in
            *.sh) echo "entrypoint: run $script"
                if [ -x "$script" ]; then "$script"; else . "$script"; fi ;;
            *.sql) echo "entrypoint: run $script"; run_sql --file="$script" ;;
            *.sql.gz) echo "entrypoint: run $script"; gunzip -c "$script" | run_sql ;;
        esac
    done
}

run_sql() {
    psql -v ON_ERROR_STOP=1 --no-psqlrc --no-password --quiet \
        --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" "$@"
}

make_database() {
    password=$(setting POSTGRES_PASSWORD '')
    method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
    [ -n "$password" ] || [ "$method" = trust ] || fail "POSTGRES_PASSWORD is not set"
    secret=$(mktemp)
    printf '%s\n' "$password" >"$secret"
    # shellcheck disable=SC2086 # several arguments in one variable, as in the official image
    initdb --username="$POSTGRES_USER" ${password:+--pwfile="$secret"} --encoding=UTF8 \
        --locale=C.UTF-8 --auth-local=trust --auth-host="$method" ${POSTGRES_INITDB_ARGS:-}
    rm -f "$secret"
    touch "$unfinished"
    echo "host all all all $method" >>"$PGDATA/pg_hba.conf"

    # Only the local socket, so that nobody meets a half-made database.
    pg_ctl --pgdata="$PGDATA" --wait --silent \
        --options="-c listen_addresses='' -c unix_socket_directories=$PGHOST" start
    if [ "$POSTGRES_DB" != postgres ]; then
        psql -v ON_ERROR_STOP=1 --no-psqlrc --quiet --username="$POSTGRES_USER" --dbname=postgres \
            --set=name="$POSTGRES_DB" <<-'SQL'
		CREATE DATABASE :"name";
		SQL
    fi
    run_scripts
    pg_ctl --pgdata="$PGDATA" --wait --silent --mode=fast stop
    rm "$unfinished"
    echo "entrypoint: the database is made"
}

[ "${1#-}" = "${1:-}" ] || set -- postgres "$@"
if [ "${1:-postgres}" != postgres ]; then
    exec "$@"
fi
[ $# -gt 0 ] || set -- postgres
[ "$(id -u)" != 0 ] || fail "Postgres does not run as root: set runAsUser to 999"

POSTGRES_USER=$(setting POSTGRES_USER postgres)
POSTGRES_DB=$(setting POSTGRES_DB "$POSTGRES_USER")
PGUSER=$POSTGRES_USER PGDATABASE=$POSTGRES_DB PGHOST=/var/run/postgresql
export POSTGRES_USER POSTGRES_DB PGUSER PGDATABASE PGHOST PGDATA

mkdir -p "$PGDATA"
chmod 700 "$PGDATA" 2>/dev/null || true
# A first start that failed or was killed is begun anew, unlike in the official image.
unfinished=$PGDATA/first-start-is-unfinished
if [ -e "$unfinished" ]; then
    echo "entrypoint: the first start did not finish: begin anew"
    rm -rf "${PGDATA:?}"/*
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    make_database
fi
shift
# /tmp too: it is where the wheel's own clients look, and the official image's in the other.
exec postgres -c listen_addresses='*' -c unix_socket_directories="$PGHOST,/tmp" "$@"
