#!/bin/sh
# The first start of a grain: an empty MariaDB with its administrator, and phpMyAdmin's own tables and secrets.
set -eu
own=/var/lib/phpmyadmin
rm -rf /var/lib/mysql
mkdir -p /var/lib/mysql/mysql $own/tmp
password=$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')
# What mariadb-install-db does, less the help tables and the sys schema.
sql=/usr/share/mysql
{
    echo 'USE mysql;'
    echo 'SET @auth_root_socket = NULL;'
    cat $sql/mysql_system_tables.sql $sql/mysql_performance_tables.sql $sql/mysql_system_tables_data.sql
    echo 'FLUSH PRIVILEGES;'
    echo "CREATE USER admin@localhost IDENTIFIED BY 'tea-for-two';"
    echo 'GRANT ALL ON *.* TO admin@localhost WITH GRANT OPTION;'
    echo "CREATE USER phpmyadmin@localhost IDENTIFIED BY '$password';"
    echo 'CREATE DATABASE phpmyadmin CHARACTER SET utf8mb4;'
    echo 'GRANT ALL ON phpmyadmin.* TO phpmyadmin@localhost;'
    echo 'USE phpmyadmin;'
    cat /usr/share/dbconfig-common/data/phpmyadmin/install/mysql
} | /usr/sbin/mariadbd --defaults-file=/app/my.cnf --bootstrap

cat > $own/config-db.php <<END
<?php
\$dbuser = 'phpmyadmin';
\$dbpass = '$password';
\$dbname = 'phpmyadmin';
END
# Cookies with passwords are encrypted with it.
cat > $own/blowfish_secret.inc.php <<END
<?php
\$cfg['blowfish_secret'] = '$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')';
END
