#!/bin/sh
# The first start of a grain: the console's settings. The database is made when someone first connects.
set -eu
rm -rf /var/h2
mkdir /var/h2
cp /app/console.properties /var/h2/.h2.server.properties
