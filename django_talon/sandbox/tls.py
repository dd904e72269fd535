"""TLS ports to test clients with: certificates made on the spot by the ``openssl`` command."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

KINDS = ("self-signed", "expired", "wrong-host", "cut")

_CONFIG = """\
[ca]
default_ca = all
[all]
new_certs_dir = {folder}
database = {folder}/index.txt
serial = {folder}/serial
default_md = sha256
policy = any
x509_extensions = names
unique_subject = no
[any]
commonName = supplied
[names]
subjectAltName = {names}
[req]
distinguished_name = nobody
[nobody]
"""
_HERE, _ELSEWHERE = "DNS:localhost,IP:127.0.0.1,IP:::1", "DNS:elsewhere.test"
_VALID = ("20200101000000Z", "20491231235959Z")
_OVER = ("20200101000000Z", "20200102000000Z")


class TlsError(RuntimeError):
    """No certificate can be made on this machine."""


def context(kind: str, folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Return the TLS settings of a port of this kind, and the certificate a client may trust.

    Raise TlsError if there is no ``openssl`` command, or if it fails.
    """
    certificate, key = _made(kind, folder)
    made = _HandshakeCut if kind == "cut" else ssl.SSLContext
    found = made(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(certificate, key)
    return found, certificate


class _HandshakeCut(ssl.SSLContext):
    """Hangs up where the handshake should be."""

    def wrap_socket(self, sock: socket.socket, *args: Any, **more: Any) -> ssl.SSLSocket:
        sock.recv(1)
        raise ConnectionResetError("the handshake is cut")


def _made(kind: str, folder: Path) -> tuple[Path, Path]:
    command = shutil.which("openssl")
    if command is None:
        raise TlsError("a TLS port needs the openssl command to make its certificate")
    names = _ELSEWHERE if kind == "wrong-host" else _HERE
    (folder / "openssl.cnf").write_text(_CONFIG.format(folder=folder, names=names))
    (folder / "index.txt").touch()
    (folder / "serial").write_text("01\n")
    key, request, certificate = (folder / name for name in ("key.pem", "csr.pem", "cert.pem"))
    subject = "/CN=elsewhere.test" if kind == "wrong-host" else "/CN=localhost"
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    _run(
        command, folder, "req", "-new", *new_key, "-keyout", key, "-subj", subject, "-out", request
    )
    start, end = _OVER if kind == "expired" else _VALID
    dates = ("-startdate", start, "-enddate", end)
    signing = ("-batch", "-notext", "-selfsign", "-keyfile", key, "-in", request)
    _run(command, folder, "ca", *signing, *dates, "-out", certificate)
    key.chmod(0o600)
    return certificate, key


def _run(command: str, folder: Path, what: str, *arguments: object) -> None:
    line = [command, what, "-config", folder / "openssl.cnf", *arguments]
    done = subprocess.run(  # noqa: S603 - our own arguments, no shell
        [str(part) for part in line], capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        raise TlsError(f"openssl {what} failed: {done.stderr.strip()[-300:]}")
