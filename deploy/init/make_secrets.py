"""Makes the cluster's secrets, once: random ones, as files in the volumes of those who need them.

A file that is there already stays, so your own may be put in its place before the first start. Readable for all in the
volume: the servers that share it run as different users; nobody else mounts it.
"""

import json
import os
import secrets
import sys
from pathlib import Path

ROOT = Path("/run/graphbed")


def main(root: Path = ROOT) -> None:
    """Write what is missing below `root`."""
    password = _keep_or_make(root / "redis/password", secrets.token_hex(24))
    # Redis takes no password from a file of its own, and an argument could be read by anybody in the process list.
    _keep_or_make(root / "redis/auth.conf", f"requirepass {password}\n")
    access_key = _keep_or_make(root / "store/access-key", f"graphbed{secrets.token_hex(6)}")
    secret_key = _keep_or_make(root / "store/secret-key", secrets.token_hex(24))
    credentials = {"accessKey": access_key, "secretKey": secret_key}
    identity = {"name": "graphbed", "credentials": [credentials], "actions": ["Admin", "Read", "Write", "List"]}
    _keep_or_make(root / "store/seaweedfs.json", json.dumps({"identities": [identity]}))
    _keep_or_make(root / "grafana/admin-password", secrets.token_urlsafe(18))


def _keep_or_make(path: Path, value: str) -> str:
    if path.exists():
        return path.read_text(encoding="utf-8").strip()
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(value, encoding="utf-8")
    unfinished.chmod(0o444)
    unfinished.replace(path)
    sys.stdout.write(f"made {path}\n")
    return value


if __name__ == "__main__":
    main()
