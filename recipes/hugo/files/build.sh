#!/bin/sh
# Links are paths: a site does not know under which name people see it.
exec /usr/bin/hugo --source /var/site/source --destination /var/site/new --cacheDir /tmp/hugo --baseURL / --noBuildLock
