#!/opt/medproof/bin/python
"""Whether a service in this container is healthy: `medproof-healthy PORT [PATH]` asks it, and ends with 0 or 1."""

import sys
from urllib.error import URLError
from urllib.request import urlopen


def healthy(port: str, path: str = "/healthz") -> bool:
    """Whether a port of this machine answers a path with 200."""
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=4) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


if __name__ == "__main__":
    sys.exit(not healthy(*sys.argv[1:]))
