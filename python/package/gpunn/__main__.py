"""The program `gpunn`: the same as the one that Cargo installs."""

import os
import signal
import sys

if not __package__:
    # This file was started by its path, and not by `-m gpunn`.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from gpunn import _gpunn


def main() -> None:
    """Runs the program with the words of this process's command line."""
    # The program handles Ctrl-C itself: Python would wait for it to return.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(_gpunn.main(["gpunn", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
