"""Defaults of the section ``downloads`` of a config, which the config check reads without loading the HTTP library."""

#: Seconds that a server may stay silent.
TIMEOUT = 30.0
#: Bytes per second, on average over a minute.
LEAST_SPEED = 1000.0
#: Total time of one file, over all attempts.
HOURS = 24.0
