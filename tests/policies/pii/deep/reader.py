"""A reader without a model: it knows Jane, dies of `die`, chokes on `odd`, and as `slow` loads for
ever. `nonsense` makes it answer what is no finding."""

import re
import sys
import time

from policies.pii.deep.frames import frame, read_blocking

if sys.argv[1] == "slow":
    time.sleep(3600)
sys.stdout.buffer.write(frame({"failed": "no such model"} if sys.argv[1] == "none" else {}))
sys.stdout.buffer.flush()
while (texts := read_blocking(sys.stdin.buffer)) is not None:
    if "die" in texts:
        sys.exit(1)
    if "wait" in texts:
        time.sleep(3600)
    if "odd" in texts or "nonsense" in texts:
        answer = {"failed": "KeyError"} if "odd" in texts else [[["Jane"]]]
        sys.stdout.buffer.write(frame(answer))
        sys.stdout.buffer.flush()
        continue
    places = [[each.span() for each in re.finditer("Jane", text)] for text in texts]
    found = [[(*place, "PERSON", 0.85) for place in there] for there in places]
    sys.stdout.buffer.write(frame(found))
    sys.stdout.buffer.flush()
