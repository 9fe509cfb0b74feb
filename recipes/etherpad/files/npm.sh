#!/bin/sh
# What Etherpad asks of npm: its version, and which packages begin with ep_.
case $1 in
    --version) echo 6.14.13 ;;
    ls) echo '{"dependencies":{"ep_etherpad-lite":{"version":"1.8.14","path":"/opt/etherpad/node_modules/ep_etherpad-lite"}}}' ;;
    *) exit 1 ;;
esac
