#!/bin/sh
# The first start of a wiki: one account, `admin`, and who may do what.
set -eu
acl=/var/lib/dokuwiki/acl
mkdir -p "$acl"
rm -f "$acl/acl.auth.php" "$acl/users.auth.php"
cat > "$acl/acl.auth.php" <<'RULES'
* @ALL 1
* @user 8
RULES
# login:hash:name:mail:groups; the first password is tea-for-two; change it under "Update Profile"
cat > "$acl/users.auth.php" <<'ACCOUNTS'
admin:$1$dokuwiki$g9Nb3xA5TC8rpS0kV1Qyz/:Administrator:admin@localhost:admin,user
ACCOUNTS
for directory in attic cache index locks log media media_attic media_meta meta pages tmp; do
    mkdir -p "/var/lib/dokuwiki/data/$directory"
done
