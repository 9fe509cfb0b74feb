#!/bin/sh
# PostgreSQL's socket is there before it answers. The first sleep makes each start take the same way.
while sleep 0.1; do
    if /usr/lib/postgresql/17/bin/pg_isready --quiet --host=/run --username=miniflux; then
        exec /usr/bin/miniflux -config-file /app/miniflux.conf
    fi
done
