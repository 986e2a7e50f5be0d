"""`python -m skywright` is the command `skywright`."""

from skywright.cli import main

if __name__ == "__main__":
    main()
