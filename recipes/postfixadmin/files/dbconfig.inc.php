<?php
// What dbconfig would write: SQLite, in one file of the grain.
$dbtype = 'sqlite';
$dbname = '/var/lib/postfixadmin/mail.db';
$dbuser = '';
$dbpass = '';
$dbserver = '';
