#!/bin/sh
exec /usr/bin/pelican --settings /var/site/source/pelicanconf.py --output /var/site/new /var/site/source/content
