<?php
// SQLite has no accounts of its own, and Adminer lets nobody in without a password: this is the one it asks for.
function adminer_object()
{
    include_once '/usr/share/adminer/plugins/plugin.php';
    include_once '/usr/share/adminer/plugins/login-password-less.php';
    return new AdminerPlugin([new AdminerLoginPasswordLess(rtrim(file_get_contents('/var/adminer/password')))]);
}
include '/usr/share/adminer/adminer.php';
