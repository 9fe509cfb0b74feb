#!/bin/sh
# The first start of a grain: an account, admin, whose first password is tea-for-two, and a folder of music with two pieces
# of silence.
set -eu
music=/var/lib/supysonic/music
mkdir -p "$music/Sounds of a kitchen"
cp /app/kettle.flac "$music/Sounds of a kitchen/01 Kettle.flac"
cp /app/teapot.flac "$music/Sounds of a kitchen/02 Teapot.flac"
cp /app/cover.png "$music/Sounds of a kitchen/cover.png"
supysonic-cli user add admin --password tea-for-two
supysonic-cli user setroles --admin admin
supysonic-cli folder add Music "$music"
supysonic-cli folder scan --foreground Music
