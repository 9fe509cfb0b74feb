-- Only the web port, and that without TLS: who shows the grain to people has it.
interfaces = { "127.0.0.1" }
c2s_ports = {}
legacy_ssl_ports = {}
https_ports = {}
http_ports = { 8000 }
http_default_host = "localhost"
http_paths = { files = "/", websocket = "/xmpp", bosh = "/bosh" }
http_files_dir = "/app/www"
consider_websocket_secure = true
consider_bosh_secure = true

admins = { "admin@localhost" }
authentication = "internal_hashed"
allow_registration = true
archive_expires_after = "never"
pidfile = "/run/prosody/prosody.pid"
log = { warn = "*console" }

-- There is no other server to talk to.
modules_disabled = { "s2s", "tls" }
modules_enabled = {
    "disco", "roster", "saslauth", "register", "blocklist", "bookmarks", "carbons", "mam", "offline", "pep", "ping", "private",
    "smacks", "time", "vcard4", "vcard_legacy", "version", "adhoc", "admin_adhoc",
    "http", "http_files", "websocket", "bosh",
}

VirtualHost "localhost"

Component "rooms.localhost" "muc"
    modules_enabled = { "muc_mam" }
    -- A room is there as soon as somebody comes in, and stays.
    muc_room_locking = false
    muc_room_default_persistent = true
    muc_room_default_public = true
    muc_room_default_history_length = 100
    max_history_messages = 100
