"""`python -m gradient_assets` is `gradient`."""

from gradient_assets.cli import main

if __name__ == "__main__":
    main()
