<?php
define('DB_NAME', 'wordpress');
define('DB_USER', 'wordpress');
define('DB_PASSWORD', '');
define('DB_HOST', 'localhost:/run/mysqld.sock');
define('DB_CHARSET', 'utf8mb4');
define('WP_HOME', 'http://' . $_SERVER['HTTP_HOST']);
define('WP_SITEURL', WP_HOME);
define('WP_CONTENT_DIR', '/var/lib/wordpress/wp-content');
define('WP_CONTENT_URL', WP_HOME . '/wp-content');
define('WPMU_PLUGIN_DIR', '/app/plugins');
// A grain reaches no network: without these, pages of the dashboard wait for names that nobody resolves.
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('DISABLE_WP_CRON', true);
// Debian's installer writes them into the options: empty for WordPress's own place, below wp-content.
$upload_path = '';
$upload_url_path = '';
// The code is read-only.
define('DISALLOW_FILE_MODS', true);

// Cookies and nonces are signed by keys that each grain makes of its own secret.
$secret = file_get_contents('/var/lib/wordpress/secret');
foreach (['AUTH', 'SECURE_AUTH', 'LOGGED_IN', 'NONCE'] as $use) {
    define("{$use}_KEY", hash_hmac('sha256', "$use key", $secret));
    define("{$use}_SALT", hash_hmac('sha256', "$use salt", $secret));
}
