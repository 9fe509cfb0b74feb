#!/bin/sh
# The first start of a grain: an empty folder, but for what says what it is.
set -eu
rm -rf /var/files
mkdir /var/files
echo 'Put files here: with the buttons above, or with any program that speaks WebDAV.' > /var/files/README.txt
