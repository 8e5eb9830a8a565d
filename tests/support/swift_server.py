"""OpenStack Swift with its S3 API, in one process: proxy, account, container and object server, one copy of each thing.

It runs in an environment of its own (`make .venv-swift/done`), and so imports nothing of Inkling's.

    .venv-swift/bin/python tests/support/swift_server.py FOLDER ACCOUNT:USER SECRET [PORT [ADDRESS]]

FOLDER is for everything it keeps; the filesystem needs extended attributes. It prints its port once it answers.
"""

import eventlet

eventlet.monkey_patch()

import sys  # noqa: E402
from pathlib import Path  # noqa: E402

from eventlet import wsgi  # noqa: E402
from swift.common import utils  # noqa: E402
from swift.common.ring import RingBuilder  # noqa: E402
from swift.common.storage_policy import reload_storage_policies  # noqa: E402
from swift.common.wsgi import SwiftHttpProtocol, loadapp  # noqa: E402

SERVERS = ("account", "container", "object")
COMMON = """
[DEFAULT]
swift_dir = {folder}
devices = {folder}
mount_check = false
disable_fallocate = true
workers = 0
log_level = ERROR
"""
BACKEND = """
[app:main]
use = egg:swift#{name}
"""
# Signatures are checked by tempauth, which knows the one user. Every bucket is the user's own.
PROXY = """
[pipeline:main]
pipeline = s3api tempauth bulk proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true

[filter:tempauth]
use = egg:swift#tempauth
user_{account}_{user} = {secret} .admin

[filter:s3api]
use = egg:swift#s3api
allow_multipart_uploads = false

[filter:bulk]
use = egg:swift#bulk
"""


def main() -> None:
    folder, (account, user), secret = Path(sys.argv[1]), sys.argv[2].split(":"), sys.argv[3]
    (folder / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = tests\n")
    utils.SWIFT_CONF_FILE = str(folder / "swift.conf")
    utils.validate_hash_conf()
    reload_storage_policies()
    (folder / "sda").mkdir()
    listeners = {name: eventlet.listen(("127.0.0.1", 0)) for name in SERVERS}
    for name, listener in listeners.items():
        ring = RingBuilder(part_power=2, replicas=1, min_part_hours=0)
        place = {"region": 1, "zone": 1, "weight": 1.0, "ip": "127.0.0.1", "device": "sda"}
        ring.add_dev({**place, "id": 0, "port": listener.getsockname()[1]})
        ring.rebalance()
        ring.get_ring().save(str(folder / f"{name}.ring.gz"))
    for name, listener in listeners.items():
        conf = folder / f"{name}-server.conf"
        conf.write_text((COMMON + BACKEND).format(folder=folder, name=name))
        serve(listener, conf)
    conf = folder / "proxy-server.conf"
    conf.write_text((COMMON + PROXY).format(folder=folder, account=account, user=user, secret=secret))
    port, address = (*sys.argv[4:], *("0", "127.0.0.1")[len(sys.argv[4:]) :])
    front = eventlet.listen((address, int(port)))
    server = serve(front, conf)
    print(front.getsockname()[1], flush=True)
    server.wait()


def serve(listener, conf):
    """Serves what a configuration file describes."""
    app = loadapp(str(conf))
    return eventlet.spawn(wsgi.server, listener, app, log_output=False, protocol=SwiftHttpProtocol)


if __name__ == "__main__":
    main()
