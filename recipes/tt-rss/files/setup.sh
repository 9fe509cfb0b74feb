#!/bin/sh
# The first start of a grain: an empty cluster of PostgreSQL with a database for the reader, and a feed.
set -eu
rm -rf /var/postgresql /var/feeds
bin=/usr/lib/postgresql/15/bin
# Only the grain itself reaches the socket, so there is no password to keep.
$bin/initdb --pgdata=/var/postgresql --username=ttrss --auth=trust --encoding=UTF8 --locale=C.UTF-8 \
    --wal-segsize=1 --no-sync --no-instructions > /dev/null
single() {
    $bin/postgres --single -D /var/postgresql -c config_file=/app/postgresql.conf "$1" > /dev/null
}
echo 'CREATE DATABASE ttrss' | single postgres
# It takes one line for a command: the schema, and the first password, which is hashed anew at the first login.
{
    grep -v '^--' /usr/share/tt-rss/schema/ttrss_schema_pgsql.sql | tr '\n' ' '
    echo
    echo "UPDATE ttrss_users SET pwd_hash = 'SHA1:f90ec379746c91f070bad18fa287a09c8ccd3512' WHERE login = 'admin'"
} | single ttrss
mkdir -p /var/feeds/tea.example
cp /app/tea.xml /var/feeds/tea.example/
mkdir -p /var/lib/tt-rss/feed-icons
for directory in export feeds images simplepie upload; do
    mkdir -p "/var/cache/tt-rss/$directory"
done
