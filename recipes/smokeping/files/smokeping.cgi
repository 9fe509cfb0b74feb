#!/bin/sh
# Forms lead to the URL in the configuration, and a grain's URL depends on who visits it: each host gets one of its own. It is
# written once, since other machines that measure load all anew when it changes.
set -eu
case $HTTP_HOST in
    *[!A-Za-z0-9.:_-]*) printf 'Status: 400\nContent-Type: text/plain\n\nWhat host is this?\n'; exit ;;
esac
conf=/run/smokeping/$HTTP_HOST.conf
if [ ! -e "$conf" ]; then
    printf '*** General ***\ncgiurl = http://%s/smokeping/smokeping.cgi\n@include /app/smokeping.conf\n' "$HTTP_HOST" > "$conf.$$"
    mv "$conf.$$" "$conf"
fi
exec /usr/share/smokeping/smokeping.cgi "$conf"
