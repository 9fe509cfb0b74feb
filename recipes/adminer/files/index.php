<?php
// A grain has no network: no page asks adminer.org for the latest version.
// SQLite has no accounts of its own, and Adminer lets nobody in without a password: this is the one it asks for.
function adminer_object()
{
    include_once '/usr/share/adminer/plugins/plugin.php';
    include_once '/usr/share/adminer/plugins/login-password-less.php';
    include_once '/usr/share/adminer/plugins/version-noverify.php';
    return new AdminerPlugin([
        new AdminerLoginPasswordLess(rtrim(file_get_contents('/var/adminer/password'))),
        new AdminerVersionNoverify,
    ]);
}
include '/usr/share/adminer/adminer.php';
