#!/bin/sh
# The first start of a grain: an empty database with the user root, whose first password is tea-for-two.
set -eu
mkdir -p /var/lib/request-tracker5 /var/cache/request-tracker5/mason_data /var/cache/request-tracker5/session_data
echo tea-for-two > /tmp/password
rt-setup-database-5 --action init --skip-create --root-password-file /tmp/password > /tmp/setup.log 2>&1 || { cat /tmp/setup.log; exit 1; }
