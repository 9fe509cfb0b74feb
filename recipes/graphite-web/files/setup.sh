#!/bin/sh
# The first start of a grain: its key, the database, admin with the first password tea-for-two, and two metrics.
set -eu
mkdir -p /var/lib/graphite/whisper
head -c 48 /dev/urandom | base64 > /var/lib/graphite/secret
chmod 600 /var/lib/graphite/secret
graphite-manage migrate --run-syncdb --verbosity 0
DJANGO_SUPERUSER_PASSWORD=tea-for-two graphite-manage createsuperuser --noinput --username admin --email admin@localhost
python3 /app/sample.py
# Its editor would load a font from elsewhere.
sed 's/@import url([^)]*fonts\.googleapis[^)]*);//g' /usr/share/graphite-web/static/js/ace/ace.js > /var/lib/graphite/ace.js
