#!/bin/sh
# Makes the site again when a source is newer than the site.
cd /var/site || exit 1
while :; do
    if [ ! -e built ] || [ -n "$(find source -newer built | head -n 1)" ]; then
        touch begun
        rm -rf new
        if /bin/sh /app/build.sh > log.new 2>&1 && [ -e new ]; then
            rm -rf old
            [ ! -e site ] || mv site old
            mv new site
        fi
        mv log.new log
        mv begun built
    fi
    sleep 1
done
