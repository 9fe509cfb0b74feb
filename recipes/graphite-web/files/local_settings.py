# Made for each grain by setup.sh.
with open('/var/lib/graphite/secret') as file:
    SECRET_KEY = file.read()

TIME_ZONE = 'UTC'
# Only who has logged in saves and deletes dashboards.
DASHBOARD_REQUIRE_AUTHENTICATION = True
# A grain has no other host to ask or to mail to.
CLUSTER_SERVERS = []
CARBONLINK_HOSTS = []
REPLICATION_FACTOR = 0
EMAIL_BACKEND = 'django.core.mail.backends.dummy.EmailBackend'

CONF_DIR = '/etc/graphite'
STATIC_ROOT = '/usr/share/graphite-web/static'
STORAGE_DIR = WHISPER_DIR = '/var/lib/graphite/whisper'
STANDARD_DIRS = [WHISPER_DIR]
INDEX_FILE = '/var/lib/graphite/search_index'
DATABASES = {
    'default': {
        'NAME': '/var/lib/graphite/graphite.db',
        'ENGINE': 'django.db.backends.sqlite3',
    }
}

# To standard error.
LOG_FILE_INFO = LOG_FILE_EXCEPTION = LOG_FILE_CACHE = LOG_FILE_RENDERING = '-'
