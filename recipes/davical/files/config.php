<?php
// The grain's own database, which only the grain reaches: there is no password to keep.
$c->pg_connect[] = 'dbname=davical user=davical host=/run';
$c->system_name = 'DAViCal';
$c->admin_email = 'admin@localhost';
// Whoever signs in may write to what is theirs; nobody asks other servers for the newest version.
$c->restrict_setup_to_admin = true;
