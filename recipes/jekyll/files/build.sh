#!/bin/sh
exec /usr/bin/jekyll build --source /var/site/source --destination /var/site/new --disable-disk-cache
