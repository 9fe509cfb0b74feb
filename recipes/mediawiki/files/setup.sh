#!/bin/sh
# The first start of a wiki: MediaWiki's own installer makes its database and keys. The first password is tea-for-two.
set -eu
umask 077
mkdir -p /var/lib/mediawiki/config /var/lib/mediawiki/cache /var/lib/mediawiki/images /var/lib/mediawiki-db
rm -f /var/lib/mediawiki/config/LocalSettings.php /var/lib/mediawiki-db/*
# It refuses to go on where there are settings: it is shown none.
MW_CONFIG_FILE=/nonexistent exec php8.2 -c /app/php.ini /usr/share/mediawiki/maintenance/install.php \
    --confpath /var/lib/mediawiki/config --dbtype sqlite --dbpath /var/lib/mediawiki-db --dbname wiki \
    --server http://localhost --scriptpath '' --pass tea-for-two 'Grain Wiki' Admin
