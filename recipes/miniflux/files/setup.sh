#!/bin/sh
# The first start of a grain: an empty cluster of PostgreSQL with a database for Miniflux, and a feed.
set -eu
rm -rf /var/postgresql /var/feeds
bin=/usr/lib/postgresql/17/bin
# Only the grain itself reaches the socket, so there is no password to keep.
$bin/initdb --pgdata=/var/postgresql --username=miniflux --auth=trust --encoding=UTF8 --locale=C.UTF-8 \
    --wal-segsize=1 --no-sync --no-instructions --set=dynamic_shared_memory_type=mmap
echo 'CREATE DATABASE miniflux' |
    $bin/postgres --single -D /var/postgresql -c config_file=/app/postgresql.conf postgres
mkdir /var/feeds
cp /app/tea.xml /var/feeds/
