#!/bin/sh
set -eu
# Etherpad does not start on a row that a kill has cut off. Etherpad has accepted no text before its row was whole.
pads=/var/etherpad/dirty.db
if [ -s $pads ] && [ -n "$(tail -c 1 $pads)" ]; then
    truncate -s "-$(tail -n 1 $pads | wc -c)" $pads
fi
export NODE_ENV=production LOG4JS_CONFIG=/app/log4js.json
ADMIN_PASSWORD=$(cat /var/etherpad/PASSWORD.txt)
export ADMIN_PASSWORD
cd /opt/etherpad
exec /usr/bin/node src/node/server.js --settings settings.json \
    --sessionkey /var/etherpad/SESSIONKEY.txt --apikey /var/etherpad/APIKEY.txt
