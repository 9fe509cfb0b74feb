#!/bin/sh
# The first start of a grain: a few files to look at.
set -eu
mkdir -p /var/lib/caddy/files/notes
cp /app/README.html /var/lib/caddy/files/
printf 'The kettle sings.\n' > /var/lib/caddy/files/notes/kettle.txt
printf 'With cheese.\n' > '/var/lib/caddy/files/notes/Käsebrot.md'
