#!/bin/sh
# The first start of a grain: its key, a password for its page, and a folder. It reaches no network, so it looks for none.
set -eu
home=/var/lib/syncthing
mkdir -p $home/tea
/usr/bin/syncthing generate --home=$home --no-default-folder --skip-port-probing --gui-user=admin --gui-password=tea-for-two
sed -i -E \
    -e 's#<listenAddress>[^<]*#<listenAddress>tcp://127.0.0.1:22000#' \
    -e 's#<(globalAnnounce|localAnnounce|relays|nat|crashReporting)Enabled>true#<\1Enabled>false#' \
    -e 's#<startBrowser>true#<startBrowser>false#' \
    -e 's#<stunServer>default#<stunServer>#' \
    -e 's#<urAccepted>0#<urAccepted>-1#' \
    -e 's#(<device id="[^"]+" name=")[^"]*"#\1grain"#' \
    -e "s#path=\"~\"#path=\"$home\"#" $home/config.xml
printf 'The kettle sings.\n' > $home/tea/kettle.txt
