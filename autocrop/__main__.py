"""Entry point of ``autocrop`` and ``python -m autocrop``."""

import signal


def main() -> None:
    """Run the command line.

    Ctrl-C during the imports ends the process without a traceback.
    """
    # A shell that starts this process in the background makes it ignore Ctrl-C. Leave that unchanged.
    handles_interrupt = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if handles_interrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from autocrop.cli import main as run

    if handles_interrupt:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
