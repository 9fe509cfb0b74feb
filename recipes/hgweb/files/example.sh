# A repository of three changes with fixed dates, below $VARHG.
hg init "$VARHG/example"
cd "$VARHG/example"
mkdir src
printf '# Tea\n\nBoil water, wait.\n' > README.md
printf 'def minutes(cups):\n    """How long to wait."""\n    return 3 + cups // 2\n' > src/tea.py
hg commit --quiet --addremove --user tea --date '1700000000 0' --message 'Begin'
printf 'def minutes(cups):\n    """How long to wait, at the least."""\n    return max(3, cups)\n' > src/tea.py
printf 'Grüner Tee: 70 °C\n' > notes.txt
hg commit --quiet --addremove --user tea --date '1700000600 0' --message 'Wait longer for big pots'
hg tag --user tea --date '1700001200 0' v1
hg update --quiet null
printf '[web]\ndescription = A repository to begin with\ncontact = tea\n' > .hg/hgrc
