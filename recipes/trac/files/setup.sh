#!/bin/sh
# The first start of a grain: an empty project and one account.
set -eu
rm -rf /var/lib/trac
trac-admin /var/lib/trac initenv 'Grain Trac' sqlite:db/trac.db --config=/app/trac.ini
trac-admin /var/lib/trac permission remove anonymous '*'
trac-admin /var/lib/trac permission add anonymous WIKI_VIEW TICKET_VIEW SEARCH_VIEW TIMELINE_VIEW ROADMAP_VIEW MILESTONE_VIEW REPORT_VIEW REPORT_SQL_VIEW
trac-admin /var/lib/trac permission add admin TRAC_ADMIN
# name:hash; the first password is tea-for-two; the page Admin, Permissions says what others may do
cat > /var/lib/trac/htpasswd <<'ACCOUNTS'
admin:$apr1$grain$J2uOqxd3fjnKAoty5cMnr.
ACCOUNTS
