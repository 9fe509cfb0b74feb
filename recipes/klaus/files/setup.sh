#!/bin/sh
# The first start of a grain: one repository of commits with fixed dates, and who may push: admin, whose first password is
# tea-for-two.
set -eu
mkdir -p /var/git /var/lib/klaus
git init --quiet --bare --initial-branch=main /var/git/example.git
git -C /var/git/example.git fast-import --quiet < /app/example.fast-import
echo 'A repository to begin with' > /var/git/example.git/description
printf 'admin:klaus:%s\n' "$(printf %s admin:klaus:tea-for-two | md5sum | cut -d ' ' -f 1)" > /var/lib/klaus/htdigest
