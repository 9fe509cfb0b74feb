<?php
$config['db_dsnw'] = 'sqlite:////var/lib/roundcube/roundcube.db?mode=0640';
$config['imap_host'] = '127.0.0.1:1143';
$config['smtp_host'] = ''; // the plugin delivers
$config['mail_domain'] = 'grain.example';
// Made by setup.sh: it encrypts passwords of open sessions.
$config['des_key'] = trim(file_get_contents('/var/lib/roundcube/des_key'));
$config['plugins'] = ['local_delivery'];
$config['log_driver'] = 'stdout'; // php-fpm's, and so the grain's log
$config['temp_dir'] = '/tmp';
$config['max_message_size'] = '25M';
// A grain reaches no server of keys.
$config['keyservers'] = [];
$config['enable_spellcheck'] = false;
