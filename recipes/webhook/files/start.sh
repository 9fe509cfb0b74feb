#!/bin/sh
# Hooks get the grain's token from the environment.
set -eu
TOKEN=$(cat /var/lib/webhook/token)
export TOKEN
exec /usr/bin/webhook -nopanic -template -hooks /etc/webhook.conf -ip 127.0.0.1 -port 9000
