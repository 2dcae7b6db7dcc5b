#!/bin/sh
# As the real image does: a new volume gets a cluster, whose server listens on its socket only until the scripts of
# /docker-entrypoint-initdb.d have run; then the server proper.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    # shellcheck disable=SC2086 # these are several arguments
    initdb --username=postgres --pwfile="$POSTGRES_PASSWORD_FILE" --auth-local=trust ${POSTGRES_INITDB_ARGS:-}
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    pg_ctl --wait --options="-c listen_addresses=''" start
    for script in /docker-entrypoint-initdb.d/*.sql; do
        psql --set=ON_ERROR_STOP=1 --no-password --no-psqlrc --username=postgres --dbname=postgres --file="$script"
    done
    pg_ctl --wait --mode=fast stop
fi
exec postgres -c "listen_addresses=*"
