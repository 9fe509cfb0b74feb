#!/bin/sh
# The first start of a grain: one account, `owner`, whose first password is tea-for-two.
set -eu
mkdir -p /var/lib/radicale/collections
cat > /var/lib/radicale/users <<'ACCOUNTS'
owner:$apr1$radicale$JY6MDpqp96cf0BTWVQiBU/
ACCOUNTS
