"""The step between us and Chromium: python -I -S start.py PARENT EXECUTABLE [ARGUMENT…]

It gives the process its ties and then becomes Chromium, under the same process id. A `preexec_fn` would do the
same in a fork of a process with threads, which may deadlock. Standard library only.
"""

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1

parent, executable = int(sys.argv[1]), sys.argv[2]
# A crash must not write 300 MB into the temp folder.
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
# Refused in some sandboxes: then the browser outlives a killed parent, as it would have without us.
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() == parent:
    os.execv(executable, sys.argv[2:])  # noqa: S606  (there is no shell in this, by design)
