<?php
// The first start of a grain: a database to begin with, and the digest of the first password.
@mkdir('/var/adminer');
@unlink('/var/adminer/example.db');
$database = new SQLite3('/var/adminer/example.db');
$database->exec('CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT NOT NULL, pieces INTEGER)');
$database->exec("INSERT INTO things (name, pieces) VALUES ('kettle', 1), ('cup', 6)");
$database->close();
file_put_contents('/var/adminer/password', password_hash('tea-for-two', PASSWORD_DEFAULT) . "\n");
