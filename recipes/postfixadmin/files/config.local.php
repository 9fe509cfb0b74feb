<?php
$CONF['admin_email'] = 'admin@localhost.localdomain';
// crypt(3), which Dovecot and Cyrus SASL know, too.
$CONF['encrypt'] = 'php_crypt:SHA512';
$CONF['password_validation'] = ['/.{8}/' => 'password_too_short 8'];
// A grain reaches no name server and no mail server.
$CONF['emailcheck_resolve_domain'] = 'NO';
$CONF['sendmail'] = 'NO';
$CONF['fetchmail'] = 'NO';
$CONF['forgotten_user_password_reset'] = false;
$CONF['forgotten_admin_password_reset'] = false;
$CONF['quota'] = 'YES';
$CONF['vacation'] = 'NO';
$CONF['backup'] = 'NO';
$CONF['show_footer_text'] = 'NO';
foreach (['abuse', 'hostmaster', 'postmaster', 'webmaster'] as $name) {
    $CONF['default_aliases'][$name] = 'admin@localhost.localdomain';
}
// Nor are new mailboxes sent a mail.
$CONF['mailbox_struct_hook'] = 'grain_mailbox';
function grain_mailbox($struct) {
    $struct['welcome_mail'] = ['editable' => 0, 'display_in_form' => 0, 'default' => 0] + $struct['welcome_mail'];
    return $struct;
}
