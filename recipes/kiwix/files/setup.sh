#!/bin/sh
# The first start of a grain: a book of the pages in /app/book, with an index for searches, and a library of it.
set -eu
mkdir -p /var/lib/kiwix
cd /var/lib/kiwix
zimwriterfs --welcome=index.html --illustration=cup.png --language=eng --name=tea --title="A book of tea" \
    --description="Green tea and black tea" --creator=tea --publisher=tea /app/book tea.zim
kiwix-manage library.xml add tea.zim
