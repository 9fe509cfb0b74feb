#!/bin/sh
# The first start of a grain: an empty wiki in git, and the user admin, whose first password is tea-for-two.
set -eu
mkdir -p /var/lib/ikiwiki /var/www
cp /app/wiki.setup /var/lib/ikiwiki/wiki.setup
git config --global user.name wiki
git config --global user.email wiki@localhost
git init --quiet --initial-branch=main /var/lib/ikiwiki/src
echo /.ikiwiki > /var/lib/ikiwiki/src/.gitignore
git -C /var/lib/ikiwiki/src add .gitignore
git -C /var/lib/ikiwiki/src commit --quiet --message 'Begin'
ikiwiki --setup /var/lib/ikiwiki/wiki.setup
perl -MIkiWiki -MIkiWiki::UserInfo -MIkiWiki::Plugin::passwordauth -e '
    %config = IkiWiki::defaultconfig();
    $config{wikistatedir} = "/var/lib/ikiwiki/src/.ikiwiki";
    umask 077;
    IkiWiki::userinfo_setall("admin", { regdate => time }) or die;
    IkiWiki::Plugin::passwordauth::setpassword("admin", "tea-for-two")'
