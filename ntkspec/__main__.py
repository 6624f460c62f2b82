"""``python -m ntkspec``: the command line."""

from ntkspec.cli import main

if __name__ == "__main__":
    main()
