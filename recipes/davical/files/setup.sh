#!/bin/sh
# The first start of a grain: an empty cluster of PostgreSQL with DAViCal's tables, functions and administrator.
set -eu
rm -rf /var/postgresql
bin=/usr/lib/postgresql/15/bin
# Only the grain itself reaches the socket, so there is no password to keep.
$bin/initdb --pgdata=/var/postgresql --username=davical --auth=trust --encoding=UTF8 --locale=C.UTF-8 \
    --wal-segsize=1 --no-sync --no-instructions > /dev/null
echo 'CREATE DATABASE davical' |
    $bin/postgres --single -D /var/postgresql -c config_file=/app/postgresql.conf postgres > /dev/null

# What Debian's create-database.sh does, for one user of the database instead of two.
$bin/pg_ctl -D /var/postgresql -o '-c config_file=/app/postgresql.conf' -l /tmp/setup.log -w start > /dev/null
dba=/usr/share/davical/dba
# The first password is tea-for-two; it is changed on the administrator's page.
{
    cat /usr/share/awl/dba/awl-tables.sql /usr/share/awl/dba/schema-management.sql
    cat $dba/davical.sql $dba/views/dav_principal.sql $dba/supported_locales.sql
    cat $dba/caldav_functions.sql $dba/rrule_functions.sql $dba/base-data.sql
    echo "UPDATE usr SET password = '**tea-for-two' WHERE user_no = 1;"
} | PGOPTIONS=--client-min-messages=warning $bin/psql -qX --set=ON_ERROR_STOP=1 --host=/run --username=davical davical > /dev/null
$bin/pg_ctl -D /var/postgresql -m fast -w stop > /dev/null
