"""``python -m autocrop``, and the command ``autocrop``."""

import signal


def main() -> None:
    """Import the command and run it; Ctrl-C meanwhile ends the process without a word about imports."""
    quiet = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # it is ignored in the background
    if quiet:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from autocrop.cli import main as run

    if quiet:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
