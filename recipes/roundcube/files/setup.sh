#!/bin/sh
# The first start of a grain: its key and database, and two mailboxes.
set -eu
umask 077
mkdir -p /var/lib/roundcube /var/lib/mail
od -An -N12 -tx1 /dev/urandom | tr -d ' \n' > /var/lib/roundcube/des_key
rm -f /var/lib/roundcube/roundcube.db
sqlite3 /var/lib/roundcube/roundcube.db < /usr/share/dbconfig-common/data/roundcube/install/sqlite3
# user:password. The first password of both is tea-for-two; a line more is a mailbox more.
cat > /var/lib/mail/users <<USERS
admin:{PLAIN}tea-for-two::::::
tea:{PLAIN}tea-for-two::::::
USERS
for user in admin tea; do
    mkdir -p "/var/lib/mail/$user/Maildir/new" "/var/lib/mail/$user/Maildir/cur" "/var/lib/mail/$user/Maildir/tmp"
    cp /app/welcome.eml "/var/lib/mail/$user/Maildir/new/1.welcome"
done
