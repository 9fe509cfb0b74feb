#!/bin/sh
# PostgreSQL's socket is there before it answers. The first sleep makes each start take the same way.
while sleep 0.1; do
    if /usr/lib/postgresql/15/bin/pg_isready --quiet --host=/run --username=davical; then
        exec /usr/sbin/php-fpm8.2 -F -O -c /app/php.ini -y /app/php-fpm.conf
    fi
done
