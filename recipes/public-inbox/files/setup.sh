#!/bin/sh
# The first start of a grain: one archive, with one letter. Others come by public-inbox-mda, which a mail server would call.
set -eu
mkdir -p /var/lib/public-inbox/emergency
git config --global user.name archive
git config --global user.email archive@localhost
public-inbox-init -V2 -L medium letters /var/lib/public-inbox/letters http://localhost:8000/letters letters@localhost
# The URL depends on who visits the grain.
git config --file "$PI_CONFIG" publicinbox.letters.url /letters
echo 'Letters of this grain' > /var/lib/public-inbox/letters/description
# A mail server looks for spam before.
git config --file "$PI_CONFIG" publicinboxmda.spamcheck none
# The first page lists the archive whatever host it is visited by.
git config --file "$PI_CONFIG" publicinbox.wwwlisting all
ORIGINAL_RECIPIENT=letters@localhost public-inbox-mda --no-precheck < /app/welcome.eml
