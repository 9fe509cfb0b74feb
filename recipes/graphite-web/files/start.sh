#!/bin/sh
# The list that its search looks in, which Debian makes by cron each hour.
set -eu
cd /var/lib/graphite/whisper
find . -name '*.wsp' | sed -e 's/\.wsp$//' -e 's|^\./||' -e 's|/|.|g' | sort > ../search_index
# The administration's scripts are partly links to /usr/share/javascript.
exec /usr/bin/uwsgi-core --plugin python3 --http-socket 127.0.0.1:8000 --die-on-term --need-app --threads 4 \
    --wsgi-file /usr/share/graphite-web/graphite.wsgi \
    --static-map /static/js/ace/ace.js=/var/lib/graphite/ace.js \
    --static-map /static/admin=/usr/lib/python3/dist-packages/django/contrib/admin/static/admin \
    --static-safe /usr/share/javascript \
    --static-map /static=/usr/share/graphite-web/static
