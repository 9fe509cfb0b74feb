#!/bin/sh
# The first start of a grain: a tray for prints, and a printer that fills it.
set -eu
mkdir -p /var/spool/tray /var/etc/cups/ppd
echo '<!DOCTYPE html><meta charset="utf-8"><title>Tray</title><h1>Tray</h1>' > /var/spool/tray/index.html
cp /usr/share/cups/model/tray.ppd /var/etc/cups/ppd/Tray.ppd
cat > /var/etc/cups/printers.conf <<END
<DefaultPrinter Tray>
Info Files in a tray
Location /tray/ of this page
DeviceURI tray:/
State Idle
Accepting Yes
</DefaultPrinter>
END
