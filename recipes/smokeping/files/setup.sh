#!/bin/sh
# The first start of a grain: what is measured, and the secret by which another machine may send its measurements.
set -eu
cp /app/targets /var/lib/smokeping/targets
umask 077
secret=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
echo "kettle:$secret" > /var/lib/smokeping/secrets
echo "$secret" > /var/lib/smokeping/secret
