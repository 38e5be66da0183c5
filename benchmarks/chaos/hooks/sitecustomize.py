"""Found by any Python whose PYTHONPATH names this folder: watches what its environment names."""

import os

if "CHAOS_ROOT" in os.environ:
    import fileops

    fileops.install(
        os.environ["CHAOS_ROOT"],
        int(os.environ.get("CHAOS_KILL_AT", "0")),
        os.environ.get("CHAOS_NOTE", ""),
    )
