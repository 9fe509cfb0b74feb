#!/bin/sh
# The first start of a grain: the user admin, whose first password is tea-for-two, for the manager and for the examples.
set -eu
mkdir -p /var/cache/tomcat10 /var/log/tomcat10
umask 077
cat > /var/lib/tomcat10/tomcat-users.xml <<'USERS'
<?xml version="1.0" encoding="UTF-8"?>
<tomcat-users xmlns="http://tomcat.apache.org/xml" version="1.0">
  <user username="admin" password="tea-for-two" roles="manager-gui,manager-script,manager-status,tomcat"/>
</tomcat-users>
USERS
