"""How long a worker may still take when it has answered everybody: seconds."""

MIRROR_DRAIN = 1.0  # for copies that are under way
MIRROR_CLOSE = 2.0  # for pairs to be compared
RECORDS_CLOSE = 2.0  # for each kind of record to be written
AFTER_DRAIN = MIRROR_DRAIN + MIRROR_CLOSE + 5 * RECORDS_CLOSE + 1.0
