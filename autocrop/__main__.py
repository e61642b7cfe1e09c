"""``python -m autocrop``."""

from autocrop.cli import main

if __name__ == "__main__":
    main()
