<?php
// One server a grain, which only the grain reaches.
$cfg['AllowArbitraryServer'] = false;
$cfg['VersionCheck'] = false;
$cfg['SendErrorReports'] = 'never';
// Files of the root have no owner that could be told from others.
$cfg['CheckConfigurationPermissions'] = false;
