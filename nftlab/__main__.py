"""`python -m nftlab` is the `nftlab` command."""

from nftlab.cli import main

if __name__ == "__main__":  # a worker's spawned trainer imports this module again
    main()
