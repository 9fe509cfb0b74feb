#!/bin/sh
# The first start of a grain: an empty database, a secret, and the folders that the blog writes to.
set -eu
rm -rf /var/lib/mysql /var/lib/wordpress/secret /var/lib/wordpress/wp-content
mkdir -p /var/lib/mysql/mysql
# What mariadb-install-db does, less the help tables and the sys schema.
sql=/usr/share/mysql
{
    echo 'USE mysql;'
    echo 'SET @auth_root_socket = NULL;'
    cat $sql/mysql_system_tables.sql $sql/mysql_performance_tables.sql $sql/mysql_system_tables_data.sql
    echo 'FLUSH PRIVILEGES;'
    echo 'CREATE DATABASE wordpress;'
    # Only the grain itself reaches the socket, so there is no password to keep.
    echo 'CREATE USER wordpress@localhost;'
    echo 'GRANT ALL ON wordpress.* TO wordpress@localhost;'
} | /usr/sbin/mariadbd --defaults-file=/app/my.cnf --bootstrap

content=/var/lib/wordpress/wp-content
mkdir -p $content/languages $content/plugins $content/themes $content/uploads
# The theme's code stays in the root.
ln -s /usr/share/wordpress/wp-content/themes/twentytwentythree $content/themes/
head -c 64 /dev/urandom > /var/lib/wordpress/secret
