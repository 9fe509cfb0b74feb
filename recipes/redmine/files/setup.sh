#!/bin/sh
# The first start of a grain: the key of its cookies, an empty database, and Redmine's usual roles, trackers and statuses.
set -eu
umask 077
cd /usr/share/redmine
od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > /etc/redmine/default/secret_key.txt
cat > /etc/redmine/default/database.yml <<'DATABASE'
production:
  adapter: sqlite3
  database: /var/lib/redmine/redmine.db
DATABASE
# The Gemfile asks for SQLite now.
rm -f /var/lib/redmine/Gemfile.lock
bundle install --local --quiet
SCHEMA=/dev/null VERBOSE=false bundle exec rake db:migrate
bundle exec rake redmine:load_default_data
