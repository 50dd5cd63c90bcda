"""rsyslog with the templates of the role central_logging: a host that sends and one that collects, on the loopback."""

from __future__ import annotations

import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import jinja2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.waiting import until

TEMPLATES = Path(__file__).parents[2] / "ansible" / "roles" / "central_logging" / "templates"
NAME = "localhost"
PEM, PLAIN = serialization.Encoding.PEM, serialization.NoEncryption()


class Authority:
    """Issues certificates to whom it is asked to."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.file = folder / "ca.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA of the tests")])
        made = self._builder(self._name, self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), True
        )
        self.file.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(PEM))

    def issue(self, name: str, folder: Path) -> None:
        """fullchain.pem and privkey.pem, as certbot writes them."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(subject, key).add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False)
        (folder / "fullchain.pem").write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(PEM))
        (folder / "privkey.pem").write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, PLAIN))

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(timezone.utc)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
        )


class LogHost:
    """One rsyslogd over a folder of its own; `template` is what the role puts into /etc/rsyslog.d."""

    def __init__(self, folder: Path, template: str, **values: object) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        loader = jinja2.FileSystemLoader(TEMPLATES)
        environment = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined)  # noqa: S701 - no pages
        text = environment.get_template(f"{template}.j2").render(ansible_managed="by hand", **values)
        (folder / "60-central.conf").write_text(text)
        # What Debian's own file does, with a socket and a folder of the test's own.
        (folder / "rsyslog.conf").write_text(
            f'module(load="imuxsock" SysSock.Use="off")\ninput(type="imuxsock" Socket="{self.socket}")\n'
            f'global(workDirectory="{folder}")\ninclude(file="{folder / "60-central.conf"}")\n'
        )

    @property
    def socket(self) -> Path:
        """What stands for /dev/log."""
        return self.folder / "log"

    def check(self) -> None:
        """What the role's `validate` asks."""
        command = ["rsyslogd", "-N1", "-f", str(self.folder / "60-central.conf")]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """Return once it hears."""
        self.socket.unlink(missing_ok=True)
        with (self.folder / "rsyslogd.log").open("ab") as log:
            command = ["rsyslogd", "-n", "-f", str(self.folder / "rsyslog.conf"), "-i", str(self.folder / "pid")]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until(self.socket.exists)

    def stop(self) -> None:
        """As systemd does."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def kill(self) -> None:
        """At once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)
            self._process = None

    def say(self, text: str) -> None:
        """A line of a service."""
        subprocess.run(["logger", "--socket", str(self.socket), "--tag", "ai-core", text], check=True)


def collector(folder: Path, authority: Authority, port: int, *, name: str = NAME) -> LogHost:
    """The host that collects; its certificate is for `name`."""
    certificates = folder / "certificates"
    certificates.mkdir(parents=True)
    authority.issue(name, certificates)
    return LogHost(
        folder,
        "receive.conf",
        central_logging_ca_file=authority.file,
        central_logging_certificates=certificates,
        central_logging_folder=folder / "central",
        central_logging_user="root",
        central_logging_port=port,
    )


def sender(folder: Path, authority: Authority, port: int) -> LogHost:
    """A host that sends to it."""
    return LogHost(
        folder,
        "send.conf",
        central_logging_ca_file=authority.file,
        central_logging_name=NAME,
        central_logging_port=port,
        central_logging_buffer="1m",
    )
