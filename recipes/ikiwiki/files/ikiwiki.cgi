#!/usr/bin/perl
# In place of the program that ikiwiki would compile for each wiki: no C compiler is needed. The URL depends on who visits the grain.
use strict;
use warnings;
use URI::Escape;

$ENV{HOME} = '/var/lib/ikiwiki';
# lighttpd tells otherwise than Apache which page was not found.
$ENV{REDIRECT_URL} = uri_unescape($ENV{REQUEST_URI} =~ s/\?.*//r);
my $url = "http://$ENV{HTTP_HOST}";
exec '/usr/bin/ikiwiki', '--setup', '/var/lib/ikiwiki/wiki.setup', '--refresh', '--cgi', '--url', $url, '--cgiurl', "$url/ikiwiki.cgi";
