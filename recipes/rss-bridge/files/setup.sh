#!/bin/sh
# The first start of a grain: a page and a feed to make feeds of.
set -eu
mkdir -p /var/pages /var/cache/rss-bridge
cp /app/pages/kettles.html /app/pages/tea.xml /var/pages/
