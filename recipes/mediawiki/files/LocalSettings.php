<?php
// What the installer wrote for this grain: its database and its keys.
require '/var/lib/mediawiki/config/LocalSettings.php';

// A grain is asked by any host's name.
$wgServer = 'http://' . ( $_SERVER['HTTP_HOST'] ?? 'localhost' );
$wgArticlePath = '/wiki/$1';
$wgUsePathInfo = true;

// Whoever has an account may write; accounts are made by the first user.
$wgGroupPermissions['*']['edit'] = false;
$wgGroupPermissions['*']['createaccount'] = false;

$wgLogos = [ '1x' => '/resources/assets/mediawiki.png' ];

$wgEnableUploads = true;
$wgUseImageResize = false; // browsers scale
$wgEnableEmail = false;
$wgPingback = false;
$wgCacheDirectory = '/var/lib/mediawiki/cache';
$wgShellLocale = 'C.UTF-8';
$wgMaxShellMemory = 0;

wfLoadExtension( 'CategoryTree' );
wfLoadExtension( 'Cite' );
wfLoadExtension( 'ParserFunctions' );
wfLoadExtension( 'WikiEditor' );
