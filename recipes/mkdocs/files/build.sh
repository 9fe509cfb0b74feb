#!/bin/sh
exec /usr/bin/mkdocs build --config-file /var/site/source/mkdocs.yml --site-dir /var/site/new
