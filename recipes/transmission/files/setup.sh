#!/bin/sh
# The first start of a grain: settings of its own, which the daemon writes anew whenever it ends (with a digest in the
# password's place), and a file to share.
set -eu
umask 077
mkdir -p /var/lib/transmission/downloads
cp /app/settings.json /var/lib/transmission/
cp /app/tea.txt /var/lib/transmission/downloads/
