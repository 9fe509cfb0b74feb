<?php
// The code is of PHP 5 and asks for warnings; PHP 8 warns of each array key that is not there.
error_reporting(E_ERROR | E_PARSE | E_CORE_ERROR | E_COMPILE_ERROR | E_USER_ERROR | E_RECOVERABLE_ERROR);
// The API asks for them once more after this.
if (str_starts_with($_SERVER['SCRIPT_NAME'] ?? '', '/api/')) {
    ini_set('log_errors', 0);
}

// The socket of the grain's own database, which only the grain reaches: there is no password to keep.
define('DB_TYPE', 'pgsql');
define('DB_HOST', '/run');
define('DB_PORT', '');
define('DB_USER', 'ttrss');
define('DB_NAME', 'ttrss');
define('DB_PASS', '');
define('MYSQL_CHARSET', 'UTF8');

// A grain has another address each time that it is opened.
define('SELF_URL_PATH', 'http://' . ($_SERVER['HTTP_HOST'] ?? 'localhost') . '/');
define('_SKIP_SELF_URL_PATH_CHECKS', true);

// Feeds are asked of nginx, which has them in /var/feeds: addresses of loopback would be refused.
define('_HTTP_PROXY', 'tcp://127.0.0.1:8001');
// The open page updates the feeds, instead of a process of its own.
define('SIMPLE_UPDATE_MODE', true);
define('PHP_EXECUTABLE', '/usr/bin/php8.2');

define('SINGLE_USER_MODE', false);
define('LOCK_DIRECTORY', '/var/lib/tt-rss');
define('CACHE_DIR', '/var/cache/tt-rss');
define('ICONS_DIR', 'feed-icons');
define('ICONS_URL', 'feed-icons');
define('AUTH_AUTO_CREATE', false);
define('AUTH_AUTO_LOGIN', false);
define('FORCE_ARTICLE_PURGE', 0);
define('ENABLE_REGISTRATION', false);
define('REG_NOTIFY_ADDRESS', 'admin@localhost');
define('REG_MAX_USERS', 10);
define('SESSION_COOKIE_LIFETIME', 86400);
define('SMTP_FROM_NAME', 'Tiny Tiny RSS');
define('SMTP_FROM_ADDRESS', 'noreply@localhost');
define('DIGEST_SUBJECT', '[tt-rss] New headlines for last 24 hours');
define('CHECK_FOR_UPDATES', false);
define('ENABLE_GZIP_OUTPUT', false);
define('PLUGINS', 'auth_internal, note, share');
define('LOG_DESTINATION', '');
define('CONFIG_VERSION', 26);
