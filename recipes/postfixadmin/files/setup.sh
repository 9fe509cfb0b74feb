#!/bin/sh
# The first start of a grain: an empty database, and its administrator.
set -eu
mkdir -p /var/lib/postfixadmin /var/cache/postfixadmin/templates_c
: > /var/lib/postfixadmin/mail.db
cd /usr/share/postfixadmin/public
/usr/bin/php8.2 -c /app/php.ini upgrade.php > /tmp/upgrade.html
cd ../scripts
/usr/bin/php8.2 -c /app/php.ini postfixadmin-cli.php admin add admin@localhost.localdomain --superadmin 1 --active 1 \
    --password tea-for-two --password2 tea-for-two
