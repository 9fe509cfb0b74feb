#!/bin/sh
set -eu
export NODE_ENV=production
ADMIN_PASSWORD=$(cat /var/etherpad/PASSWORD.txt)
export ADMIN_PASSWORD
cd /opt/etherpad
exec /usr/bin/node src/node/server.js --settings settings.json \
    --sessionkey /var/etherpad/SESSIONKEY.txt --apikey /var/etherpad/APIKEY.txt
