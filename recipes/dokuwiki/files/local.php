<?php
// One wiki a grain: everyone may read, whoever has an account may write.
$conf['title'] = 'Grain Wiki';
$conf['license'] = '0';
$conf['useacl'] = 1;
$conf['superuser'] = '@admin';
$conf['passcrypt'] = 'smd5';
// A grain reaches no network, so it does not ask for updates.
$conf['updatecheck'] = 0;
