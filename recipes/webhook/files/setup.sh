#!/bin/sh
# The first start of a grain: no notes yet, and the token of those who may write some.
set -eu
mkdir -p /var/lib/webhook
: > /var/lib/webhook/notes
head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' > /var/lib/webhook/token
