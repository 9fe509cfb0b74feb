# Two metrics to begin with: a value a day in January 2024, kept for twenty years.
import math
import os

import whisper

for name, warmth in ("kettle", 90), ("teapot", 60):
    path = "/var/lib/graphite/whisper/kitchen/%s/temperature.wsp" % name
    os.makedirs(os.path.dirname(path))
    whisper.create(path, [(86400, 20 * 365)])
    start = 1704067200
    whisper.update_many(path, [(start + day * 86400, warmth + 5 * math.sin(day)) for day in range(31)])
