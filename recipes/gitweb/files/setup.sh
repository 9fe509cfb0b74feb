#!/bin/sh
# The first start of a grain: one repository with two commits of fixed dates.
set -eu
rm -rf /var/git
git init --quiet --bare --initial-branch=main /var/git/example.git
git -C /var/git/example.git fast-import --quiet < /app/example.fast-import
echo 'A repository to begin with' > /var/git/example.git/description
