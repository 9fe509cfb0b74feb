#!/bin/sh
# The first start of a grain: one user, `admin`; the first password is tea-for-two.
set -eu
mkdir -p /var/lib/docker-registry
cp /app/htpasswd /var/lib/docker-registry/htpasswd
