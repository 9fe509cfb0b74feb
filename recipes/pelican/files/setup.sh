#!/bin/sh
# The first start of a grain: a web log of one article.
set -eu
mkdir -p /var/site/source/content/extra /var/site/source/content/images
cd /var/site/source
cat > pelicanconf.py <<'TEXT'
SITENAME = 'A web log'
SITESUBTITLE = 'What is written here is seen at once.'
MENUITEMS = [('Write', '/edit/')]
TIMEZONE = 'Europe/Berlin'
# Paths: a site does not know under which name people see it.
SITEURL = ''
STATIC_PATHS = ['images', 'extra']
EXTRA_PATH_METADATA = {'extra/404.html': {'path': '404.html'}}
ARTICLE_EXCLUDES = ['extra']
TEXT
cat > content/extra/404.html <<'TEXT'
<!DOCTYPE html><title>Not found</title><p>There is no such page. <a href="/">Home</a>
TEXT
cat > content/first.md <<'TEXT'
Title: The first page
Date: 2024-01-01 10:00

Put the kettle on.
TEXT
