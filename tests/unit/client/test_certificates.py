"""Certificates nobody can trust, and one that is trusted."""

from __future__ import annotations

import shutil
import ssl
import subprocess

import certifi
import pytest

from django_talon import client as c
from tests.unit.client.servers import answer, read_request, serving

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="makes its certificates with openssl"
)
HERE = "subjectAltName=IP:127.0.0.1"


def run(command):
    subprocess.run(command.split(), check=True, capture_output=True)


def certificate(folder, *, names=HERE):
    """Make a certificate that signed itself, and return the server's side of TLS with it."""
    key, cert = str(folder / "key.pem"), str(folder / "cert.pem")
    run(
        "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -days 2"
        f" -addext {names} -keyout {key} -out {cert}"
    )
    return serving_side(key, cert), cert


AUTHORITY = """
[ca]
default_ca = us
[us]
database = {0}/index
serial = {0}/serial
new_certs_dir = {0}
default_md = sha256
policy = any
x509_extensions = names
[any]
commonName = supplied
[names]
subjectAltName = IP:127.0.0.1
"""


def expired_certificate(folder):
    (folder / "index").touch()
    (folder / "serial").write_text("01")
    (folder / "authority").write_text(AUTHORITY.format(folder))
    run(
        "openssl req -new -newkey rsa:2048 -nodes -subj /CN=localhost"
        f" -keyout {folder}/key.pem -out {folder}/request.pem"
    )
    run(
        f"openssl ca -batch -selfsign -config {folder}/authority -keyfile {folder}/key.pem"
        f" -in {folder}/request.pem -out {folder}/cert.pem -notext"
        " -startdate 200101000000Z -enddate 200102000000Z"
    )
    cert = str(folder / "cert.pem")
    return serving_side(str(folder / "key.pem"), cert), cert


def serving_side(key, cert):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


def over_tls(context):
    def handle(conn, server):
        with context.wrap_socket(conn, server_side=True) as trusted:
            while request := read_request(trusted):
                server.seen.append(request)
                trusted.sendall(answer(204, b""))

    return serving(handle)


def refused(server):
    client = c.IntegrationClient(server.url.replace("http:", "https:"), api_key="sEcReT")
    with pytest.raises(c.TalonTlsError) as caught:
        client.delete_customer_data("u1")
    assert (caught.value.retryable, caught.value.ambiguous) == (False, False)
    assert server.seen == []
    return str(caught.value).replace("self signed", "self-signed")


def test_L5_a_certificate_nobody_vouches_for(tmp_path):
    context, _ = certificate(tmp_path)
    with over_tls(context) as server:
        assert "self-signed certificate" in refused(server)


def test_L5_a_certificate_of_another_host(tmp_path, monkeypatch):
    context, cert = certificate(tmp_path, names="subjectAltName=DNS:example.com")
    monkeypatch.setattr(certifi, "where", lambda: cert)
    with over_tls(context) as server:
        assert "IP address mismatch" in refused(server)


def test_L5_an_expired_certificate(tmp_path, monkeypatch):
    context, cert = expired_certificate(tmp_path)
    monkeypatch.setattr(certifi, "where", lambda: cert)
    with over_tls(context) as server:
        assert "expired" in refused(server)


def test_L5_a_trusted_certificate_keeps_its_connection(tmp_path, monkeypatch):
    context, cert = certificate(tmp_path)
    monkeypatch.setattr(certifi, "where", lambda: cert)
    with over_tls(context) as server:
        client = c.IntegrationClient(
            server.url.replace("http:", "https:"), api_key="k", timeout=(10, 30), deadline=60
        )
        client.delete_customer_data("u1")
        client.delete_customer_data("u2")
    assert [s.target.rpartition("/")[2] for s in server.seen] == ["u1", "u2"]
    assert server.connections == 1
