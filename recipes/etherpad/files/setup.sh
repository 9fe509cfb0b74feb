#!/bin/sh
# The first start of a grain: keys of its own. The session key is made by Etherpad itself.
set -eu
umask 077
mkdir -p /var/etherpad/cache
random() { head -c "$1" /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }
random 32 > /var/etherpad/APIKEY.txt
random 12 > /var/etherpad/PASSWORD.txt
# As a browser sends it.
printf 'admin:%s' "$(cat /var/etherpad/PASSWORD.txt)" | base64 -w 0 > /var/etherpad/ADMIN.txt
