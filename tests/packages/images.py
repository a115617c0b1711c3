#!/usr/bin/env python3
"""images.py IMAGES: the images of `make images` run in their roots, without a container engine. Root's, on loopback, bounded in time.

The commands, environments and init scripts are those of compose.yaml; the ports are free ones. Somebody signs in through gateway and
stand-in, as a browser does.
"""

import base64
import hashlib
import http.client
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import yaml
from image import unpack

ROOT = Path(__file__).resolve().parent.parent.parent
COMPOSE = ROOT / "packaging/images/compose.yaml"
PORTS = {"55432": "database", "9999": "gateway", "4100": "simulator", "3000": "page"}


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Services:
    """The services of compose.yaml, each in its image's root."""

    def __init__(self, images: Path, work: Path) -> None:
        self.images, self.work, self.processes = images, work, []
        self.compose = yaml.safe_load(COMPOSE.read_text())["services"]
        self.ports = dict(zip(PORTS, map(str, free_ports(len(PORTS)))))

    def local(self, text: str) -> str:
        """With this run's ports in place of the file's."""
        return re.sub(r"(?<!\d)(" + "|".join(PORTS) + r")(?!\d)", lambda found: self.ports[found[0]], text)

    def start(self, name: str) -> None:
        service = self.compose[name]
        image = service["image"].partition(":")[0]
        [archive] = self.images.glob(f"{image}-[0-9]*.oci.tar") if image.endswith("postgres") else self.images.glob(f"{image}.oci.tar")
        root = self.work / name
        config = unpack(archive, root)
        for volume in service.get("volumes", []):
            source, target = volume.removesuffix(":ro").split(":")
            if source.startswith("."):
                path = (COMPOSE.parent / source).resolve()
                (root / target.lstrip("/")).write_text(self.local(path.read_text()))
        environment = dict(pair.split("=", 1) for pair in config["Env"])
        environment |= {key: self.local(str(value)) for key, value in service.get("environment", {}).items()}
        # What Docker gives to every container.
        (root / "dev").mkdir(exist_ok=True)
        for device in ("null", "zero", "urandom", "random"):
            if not (root / "dev" / device).exists():
                subprocess.run(["mknod", "-m", "666", root / "dev" / device, "c", "1", {"null": "3", "zero": "5", "random": "8", "urandom": "9"}[device]], check=True)
        (root / "dev/shm").mkdir(exist_ok=True, mode=0o1777)
        os.chmod(root / "dev/shm", 0o1777)
        command = [self.local(word) for word in service.get("entrypoint", config["Entrypoint"]) + service.get("command", [] if "entrypoint" in service else config.get("Cmd", []))]
        as_user = ["--userspec=" + config["User"]] if "User" in config else []
        log = (self.work / f"{name}.log").open("wb")
        self.processes.append((name, subprocess.Popen(["/usr/sbin/chroot", *as_user, root, *command], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)))

    def wait(self, name: str, port: str) -> None:
        process = dict(self.processes)[name]
        for _ in range(600):
            if process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", int(self.ports[port])), timeout=1).close()
                return
            except OSError:
                time.sleep(0.1)
        sys.exit(f"{name} does not come up:\n{(self.work / f'{name}.log').read_text()[-3000:]}")

    def stop(self) -> None:
        for name, process in reversed(self.processes):
            process.send_signal(signal.SIGINT if name == "database" else signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def get(url: str, method: str = "GET", body: str | None = None, headers: dict | None = None) -> tuple[int, str | None, bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    connection.request(method, parts.path + ("?" + parts.query if parts.query else ""), body, headers or {})
    answer = connection.getresponse()
    return answer.status, answer.getheader("location"), answer.read()


def sign_in(gateway: str, page: str) -> str:
    """As supabase-js and a browser do it; the e-mail of who is signed in."""
    verifier = secrets.token_urlsafe(32)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    query = {"provider": "workos", "organization": "org_acme", "redirect_to": page + "/", "code_challenge": challenge, "code_challenge_method": "s256"}
    status, login, _ = get(f"{gateway}/authorize?{urlencode(query)}")
    assert login, f"no redirect to WorkOS: {status}"
    # The click on the login page.
    parts = urlsplit(login)
    form = urlencode({"profile": "prof_alice", "request": parts.query})
    status, callback, body = get(f"{parts.scheme}://{parts.netloc}{parts.path}/continue", "POST", form, {"Content-Type": "application/x-www-form-urlencoded"})
    assert callback, f"no way back from the login page: {status} {body[:300]!r}"
    _, landed, _ = get(callback)
    assert landed and landed.startswith(page), f"not sent to the page: {landed}"
    [code] = parse_qs(urlsplit(landed).query).get("code", [None])
    assert code, f"no code for the page: {landed}"
    status, _, body = get(f"{gateway}/token?grant_type=pkce", "POST", json.dumps({"auth_code": code, "code_verifier": verifier}), {"Content-Type": "application/json"})
    assert status == 200, f"no session: {status} {body!r}"
    return json.loads(body)["user"]["email"]


def main() -> int:
    images = Path(sys.argv[1])
    work = Path(tempfile.mkdtemp(prefix="workos-images.", dir="/var/tmp"))
    work.chmod(0o755)
    services = Services(images, work)
    try:
        services.start("database")
        services.wait("database", "55432")
        services.start("simulator")
        services.wait("simulator", "4100")
        services.start("gateway")
        services.wait("gateway", "9999")
        gateway, page = (services.local(f"http://127.0.0.1:{port}") for port in ("9999", "3000"))
        begin = time.monotonic()
        email = sign_in(f"{gateway}/auth/v1", page)
        assert email == "alice@acme.com", email
        print(f"   compose.yaml's database, stand-in and gateway run from their images; {email} signs in ({time.monotonic() - begin:.1f} s)")
    except AssertionError as error:
        logs = "\n".join(f"== {log.name}\n{log.read_text(errors='replace')[-1500:]}" for log in work.glob("*.log"))
        sys.exit(f"FAILED: {error}\n{logs}")
    finally:
        services.stop()
        shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
