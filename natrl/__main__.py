"""python -m natrl"""

from natrl.cli import main

if __name__ == "__main__":
    main()
