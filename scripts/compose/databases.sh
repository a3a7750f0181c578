#!/bin/bash
# An account and a database of its own for each of those that keep something, when PostgreSQL starts for the first time.
set -euo pipefail

for name in index clinic-1 clinic-2; do
    psql --no-psqlrc --set ON_ERROR_STOP=1 --username postgres --dbname postgres \
        --set name="$name" --set password="$(cat "/run/secrets/$name-database")" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE CONNECT, TEMPORARY ON DATABASE :"name" FROM PUBLIC;
SQL
done
