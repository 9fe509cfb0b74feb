<?php
// The grain's own database, which only the grain reaches: there is no password to keep.
$c->pg_connect[] = 'dbname=davical user=davical host=/run';
$c->system_name = 'DAViCal';
$c->admin_email = 'admin@localhost';
// Its page tells PHP's settings.
$c->restrict_setup_to_admin = true;
