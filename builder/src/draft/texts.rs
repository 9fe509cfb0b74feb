//! Configurations of servers, as small as they can be for one app in a grain.

pub const MY_CNF: &str = "[mysqld]
datadir = /var/lib/mysql
socket = /run/mysqld/mysqld.sock
pid-file = /run/mysqld.pid
tmpdir = /tmp
lc-messages-dir = /usr/share/mysql
skip-networking
skip-log-bin
performance_schema = off
character-set-server = utf8mb4
max_connections = 12

# Small: MariaDB's own defaults give every new grain files of 160 MB and a pool of 128 MB.
innodb_buffer_pool_size = 16M
innodb_log_file_size = 4M
innodb_data_file_path = ibdata1:4M:autoextend
innodb_autoextend_increment = 1
innodb_temp_data_file_path = ../../../tmp/ibtmp1:4M:autoextend
aria_pagecache_buffer_size = 4M
aria_log_file_size = 8M
key_buffer_size = 1M
";

pub const MARIADB_SETUP: &str = "mkdir -p /run/mysqld
rm -rf /var/lib/mysql
mkdir -p /var/lib/mysql/mysql
password=$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \\n')
# What mariadb-install-db does, less the help tables and the sys schema.
sql=/usr/share/mysql
{
    echo 'USE mysql;'
    echo 'SET @auth_root_socket = NULL;'
    cat $sql/mysql_system_tables.sql $sql/mysql_performance_tables.sql $sql/mysql_system_tables_data.sql
    echo 'FLUSH PRIVILEGES;'
    echo 'CREATE DATABASE `@DATABASE@` CHARACTER SET utf8mb4;'
    echo \"CREATE USER @USER@@localhost IDENTIFIED BY '$password';\"
    echo 'GRANT ALL ON `@DATABASE@`.* TO @USER@@localhost;'
@SCHEMA@} | /usr/sbin/mariadbd --defaults-file=/app/my.cnf --bootstrap
";

pub const POSTGRESQL_CONF: &str = "# A database for one app, without a network and without /dev/shm.
listen_addresses = ''
unix_socket_directories = '/run/postgresql'
hba_file = '/var/lib/postgresql/grain/pg_hba.conf'
ident_file = '/var/lib/postgresql/grain/pg_ident.conf'
dynamic_shared_memory_type = mmap
shared_memory_type = mmap
shared_buffers = 16MB
max_connections = 25
min_wal_size = 2MB
max_wal_size = 16MB
# The compiler for long queries weighs more than all else.
jit = off
lc_messages = 'C'
timezone = 'UTC'
log_timezone = 'UTC'
";

pub const POSTGRESQL_SETUP: &str = "mkdir -p /run/postgresql /var/lib/postgresql
rm -rf /var/lib/postgresql/grain
password=$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \\n')
# Only the grain itself reaches the socket.
@BIN@/initdb --pgdata=/var/lib/postgresql/grain --username=@USER@ --auth=trust --encoding=UTF8 --locale=C.UTF-8 \\
    --wal-segsize=1 --no-sync --no-instructions > /dev/null
echo 'CREATE DATABASE @DATABASE@' |
    @BIN@/postgres --single -D /var/lib/postgresql/grain -c config_file=/app/postgresql.conf postgres > /dev/null
@BIN@/pg_ctl -D /var/lib/postgresql/grain -o '-c config_file=/app/postgresql.conf' -l /tmp/postgresql.log -w start > /dev/null
export PGHOST=/run/postgresql
psql --quiet --username=@USER@ --command=\"ALTER USER @USER@ PASSWORD '$password'\" @DATABASE@
@SCHEMA@@BIN@/pg_ctl -D /var/lib/postgresql/grain -m fast -w stop > /dev/null
";

pub const PHP_FPM: &str = "[global]
; Where a grain has no /proc it has no /dev/stderr either: with -O all of it goes to stderr besides.
error_log = /run/php-fpm.log
daemonize = no

[app]
listen = /run/php.sock
pm = ondemand
pm.max_children = 4
catch_workers_output = yes
clear_env = no
php_admin_value[session.save_path] = /tmp
php_admin_value[upload_tmp_dir] = /tmp
php_admin_value[date.timezone] = UTC
php_admin_flag[log_errors] = on
";

pub const NGINX: &str = "daemon off;
worker_processes 1;
pid /run/nginx.pid;
error_log stderr warn;

events {
    worker_connections 128;
}

http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log off;
    client_max_body_size 32m;
    client_body_temp_path /tmp/nginx-body;
    proxy_temp_path /tmp/nginx-proxy;
    fastcgi_temp_path /tmp/nginx-fastcgi;
    uwsgi_temp_path /tmp/nginx-uwsgi;
    scgi_temp_path /tmp/nginx-scgi;

    server {
        listen 127.0.0.1:8000;
INSIDE    }
}
";

pub const NGINX_PHP: &str = "        location ~ \\.php(/|$) {
            include /etc/nginx/fastcgi_params;
            fastcgi_split_path_info ^(.+?\\.php)(/.*)$;
            # Debian's file ends with $host, which has no port: links and redirects would lead nowhere.
            fastcgi_param HTTP_HOST $http_host;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            fastcgi_param PATH_INFO $fastcgi_path_info;
            # PHP's warnings come with the headers, and must not be too long for them.
            fastcgi_buffer_size 64k;
            fastcgi_buffers 8 64k;
ENV            fastcgi_pass unix:/run/php.sock;
        }
";

pub const LIGHTTPD: &str = "server.modules = ( \"mod_access\", \"mod_alias\", \"mod_setenv\", \"mod_cgi\" )
server.bind = \"127.0.0.1\"
server.port = 8000
server.document-root = \"ROOT\"
server.upload-dirs = ( \"/tmp\" )
index-file.names = ( INDEX )
";

pub const MIME: &str = "mimetype.assign = (
    \".css\" => \"text/css\",
    \".gif\" => \"image/gif\",
    \".html\" => \"text/html\",
    \".ico\" => \"image/x-icon\",
    \".jpg\" => \"image/jpeg\",
    \".js\" => \"text/javascript\",
    \".json\" => \"application/json\",
    \".pdf\" => \"application/pdf\",
    \".png\" => \"image/png\",
    \".svg\" => \"image/svg+xml\",
    \".txt\" => \"text/plain\",
    \".woff\" => \"font/woff\",
    \".woff2\" => \"font/woff2\",
    \".xml\" => \"text/xml\",
)
";

pub const SETUP: &str = "#!/bin/sh
# The first start of a grain: makes what the app wants below /var. It runs as the grain's one user.
set -eu
";

pub const EXERCISE: &str = "# The conversation that shows what is used and proves what is left: visit each page that matters, log in, write
# something, read it again. `status` and `contains` say what must come back; `capture` takes a token along.
[[exercise]]
get = \"FIRST\"
status = [200, 301, 302, 303]

# [[exercise]]
# post = \"/login\"
# form = { user = \"admin\", password = \"tea-for-two\", token = \"{token}\" }
# status = 302

# The grain is stopped and started again on the same /var.
[[exercise]]
restart = true
[[exercise]]
get = \"FIRST\"
status = [200, 301, 302, 303]

# [prune]
# keep = [\"/usr/share/APP/themes/**\"]  # what the exercise does not show and people will want
# drop = []

[budget]
artifact = \"20 MB\"
";
