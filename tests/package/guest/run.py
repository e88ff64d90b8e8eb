# SPDX-License-Identifier: Apache-2.0
"""run.py JOB: in a guest with systemd, what the package's life is to be. Says what happened on
standard output, a JSON object a line:

    {"event": "point", "name": NAME, "passed": BOOL, "detail": TEXT}
    {"event": "said", "what": COMMAND, "text": TEXT}
"""

import json
import sys

import boot
import install
from tell import point, run

SAID = 20  # lines, of each

PHASES = {"install": install.STEPS, "boot": boot.STEPS}


def journal():
    """What the unit, and AppArmor of it, said last."""
    return run("sh", "-c", f"journalctl -u conntraced.service -b -o cat -n {SAID}; "
               f"journalctl -k -b -o cat | grep DENIED | tail -n {SAID}", status=None)


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        job = json.load(f)
    for name, step in PHASES[job["phase"]]:
        try:
            step(job)
        except Exception as error:  # whatever it was, the next steps may still tell something
            point(name, False, f"{type(error).__name__}: {error}\n{journal()}")
        else:
            point(name, True)


if __name__ == "__main__":
    main()
