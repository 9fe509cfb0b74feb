#!/bin/sh
# What the hook `notes` does: the notes that have the word which is asked for.
exec grep -aF -- "${QUERY:-}" /var/lib/webhook/notes
