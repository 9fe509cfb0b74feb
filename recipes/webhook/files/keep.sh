#!/bin/sh
# What the hook `keep` does after it has answered: the file of the payload lies in $FILE until it ends.
set -eu
cat "$FILE" >> /var/lib/webhook/notes
