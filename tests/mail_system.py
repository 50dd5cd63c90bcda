"""A mail server of the tests' own: Dovecot and Postfix on free ports of the loopback, in a directory that goes with it.

The assistant's mailbox and two people's. What the assistant submits is filed in its Sent folder by Postfix itself
(sender_bcc_maps on the submission service), as on a server that our roles set up.
"""

from __future__ import annotations

import os
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import tempfile
import time
from pathlib import Path

from imapclient import IMAPClient  # type: ignore[import-untyped]

from tests.end_to_end.server import free_port
from tests.waiting import until

ASSISTANT = "assistant@cdt.example"
ALICE, BOB = "alice@client.example", "bob@client.example"
PASSWORD = "ouvre-toi"
NOBODY = 65534
START_WITHIN = 20.0  # seconds

DOVECOT = """
base_dir = {home}/dovecot
state_dir = {home}/dovecot-state
instance_name = tests
log_path = {home}/dovecot.log
protocols = imap lmtp
listen = 127.0.0.1
first_valid_uid = 1
auth_mechanisms = plain login
auth_failure_delay = 0
mail_home = {home}/mail/%d/%n
mail_location = maildir:~/Maildir
mail_uid = {nobody}
mail_gid = {nobody}
recipient_delimiter = +
lmtp_save_to_detail_mailbox = yes
mail_max_userip_connections = 50
ssl = required
ssl_cert = <{home}/cert.pem
ssl_key = <{home}/key.pem
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {home}/users
}}
userdb {{
  driver = static
  args = uid={nobody} gid={nobody} home={home}/mail/%d/%n
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Sent {{
    auto = subscribe
    special_use = \\Sent
  }}
}}
service imap-login {{
  inet_listener imap {{
    address = 127.0.0.1
    port = {imap}
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {imaps}
    ssl = yes
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
service auth {{
  inet_listener sasl {{
    address = 127.0.0.1
    port = {sasl}
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
protocol lmtp {{
  postmaster_address = postmaster@cdt.example
  auth_username_format = %Lu
}}
"""

POSTFIX = """
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/postfix-data
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.cdt.example
mydomain = cdt.example
myorigin = cdt.example
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
maillog_file = {home}/postfix.log
maillog_file_prefixes = {home}
virtual_mailbox_domains = cdt.example, client.example
virtual_mailbox_maps = texthash:{home}/postfix/mailboxes
virtual_transport = lmtp:inet:127.0.0.1:{lmtp}
default_transport = error:5.1.2 nothing leaves this machine
relay_transport = error:5.1.2 nothing leaves this machine
disable_dns_lookups = yes
smtp_host_lookup = native
message_size_limit = 52428800
smtpd_tls_cert_file = {home}/cert.pem
smtpd_tls_key_file = {home}/key.pem
smtpd_tls_security_level = may
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:{sasl}
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_recipient_restrictions = reject_unlisted_recipient
recipient_delimiter = +
bounce_queue_lifetime = 0
maximal_queue_lifetime = 1d
minimal_backoff_time = 2s
maximal_backoff_time = 5s
queue_run_delay = 2s
smtpd_client_connection_count_limit = 0
# The wire's own limits are not what is tested; 8-bit headers and bare line feeds must arrive as they are.
smtpd_forbid_bare_newline = no
smtpd_error_sleep_time = 0
smtputf8_enable = no
"""

SERVICES = """
127.0.0.1:{mx} inet n - n - - smtpd
127.0.0.1:{submission} inet n - n - - smtpd
  -o syslog_name=postfix/submission
  -o smtpd_tls_security_level=encrypt
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
  -o cleanup_service_name=submission-cleanup
127.0.0.1:{submissions} inet n - n - - smtpd
  -o syslog_name=postfix/submissions
  -o smtpd_tls_wrappermode=yes
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
  -o cleanup_service_name=submission-cleanup
postlog unix-dgram n - n - 1 postlogd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
submission-cleanup unix n - n - 0 cleanup
  -o sender_bcc_maps=texthash:{home}/postfix/copies
qmgr unix n - n 5 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
"""


def missing() -> str | None:
    """Why no mail system can be started here, or None."""
    if not (shutil.which("dovecot") and shutil.which("postfix")):
        return "Dovecot or Postfix is not installed: tests/system_packages.sh"
    return None if os.geteuid() == 0 else "Postfix starts as root only"


class MailSystem:
    """Started and stopped at will, each half on its own; ports and mail stay the same. `home`: a folder that does not
    exist yet, else one of its own."""

    def __init__(self, home: Path | None = None) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="mail-")) if home is None else home
        self.home.mkdir(exist_ok=True)
        self.home.chmod(0o755)  # Postfix' and Dovecot's own users go through it
        names = ("imap", "imaps", "lmtp", "sasl", "mx", "submission", "submissions")
        self.ports = {name: free_port() for name in names}
        self.certificate = self.home / "cert.pem"
        self._sessions: dict[str, IMAPClient] = {}
        self._write()

    def start(self) -> None:
        """Return once both take connections."""
        self.start_imap()
        self.start_smtp()

    def stop(self) -> None:
        """Stop both."""
        self.stop_smtp()
        self.stop_imap()

    def remove(self) -> None:
        """Stop both and forget all mail."""
        self.stop()
        shutil.rmtree(self.home)

    def start_imap(self) -> None:
        """Start Dovecot."""
        subprocess.run(["dovecot", "-c", str(self.home / "dovecot.conf")], check=True)
        for name in ("imap", "imaps", "lmtp", "sasl"):
            self._wait_for(name)

    def stop_imap(self) -> None:
        """Stop Dovecot: reading and delivery end."""
        for client in self._sessions.values():
            client.shutdown()
        self._sessions.clear()
        _end(self.home / "dovecot" / "master.pid")

    def start_smtp(self) -> None:
        """Start Postfix."""
        subprocess.run(["postfix", "-c", str(self.home / "postfix"), "start"], check=True, stderr=subprocess.DEVNULL)
        for name in ("mx", "submission", "submissions"):
            self._wait_for(name)

    def stop_smtp(self) -> None:
        """Stop Postfix; what it has in its queue stays there."""
        _end(self.home / "queue" / "pid" / "master.pid")

    def deliver(self, raw: bytes, *, sender: str = ALICE, recipient: str = ASSISTANT) -> None:
        """Hand in `raw` as another server would."""
        self.deliver_all([raw], sender=sender, recipient=recipient)

    def deliver_all(self, mails: list[bytes], *, sender: str = ALICE, recipient: str = ASSISTANT) -> None:
        """Hand in many mails over one connection."""
        with smtplib.SMTP("127.0.0.1", self.ports["mx"], timeout=60) as session:
            for raw in mails:
                session.sendmail(sender, [recipient], raw)

    def put(self, raw: bytes, *, user: str = ASSISTANT, folder: str = "INBOX") -> None:
        """Put `raw` into a folder as it is, byte by byte: no server in between that mends it."""
        self.session(user).append(folder, raw)

    def session(self, user: str = ASSISTANT) -> IMAPClient:
        """The IMAP session of `user`, kept until Dovecot stops."""
        if user not in self._sessions:
            context = ssl.create_default_context(cafile=str(self.certificate))
            client = IMAPClient("localhost", self.ports["imaps"], ssl_context=context, timeout=30)
            client.login(user, PASSWORD)
            self._sessions[user] = client
        return self._sessions[user]

    def mails(self, user: str = ASSISTANT, folder: str = "INBOX") -> list[bytes]:
        """All mails in a folder, in order; none where there is no such folder. What leaves it meanwhile is left out."""
        client = self.session(user)
        if not client.folder_exists(folder):
            return []
        client.select_folder(folder, readonly=True)
        uids = client.search(["ALL"])
        found = [client.fetch([uid], ["BODY.PEEK[]"]).get(uid) for uid in uids]
        return [mail[b"BODY[]"] for mail in found if mail is not None]

    def flags(self, folder: str, user: str = ASSISTANT) -> list[tuple[bytes, ...]]:
        """The flags of each mail in a folder."""
        client = self.session(user)
        client.select_folder(folder, readonly=True)
        return [flags for _, flags in sorted(client.get_flags(client.search(["ALL"])).items())]

    def empty(self) -> None:
        """Remove every mail of everybody, also what is still on its way."""
        until(self._delivered)
        for user in (ASSISTANT, ALICE, BOB):
            client = self.session(user)
            for _, _, folder in client.list_folders():
                client.select_folder(folder)
                uids = client.search(["ALL"])
                if uids:
                    client.delete_messages(uids)
                    client.expunge()

    def _delivered(self) -> bool:
        """Whether Postfix has nothing left to deliver. In the order in which a mail goes through its queues."""
        queues = (self.home / "queue" / name for name in ("maildrop", "incoming", "active", "deferred"))
        return not any(path.is_file() for queue in queues for path in queue.rglob("*"))

    def settings(self, data_dir: Path, **variables: str) -> dict[str, str]:
        """The environment of a mail service that uses this system."""
        return {
            "DATA_DIR": str(data_dir),
            "EMAIL_ADDRESS": ASSISTANT,
            "EMAIL_PASSWORD": PASSWORD,
            "EMAIL_ALIASES": "contact@cdt.example",
            "IMAP_HOST": "localhost",
            "IMAP_PORT": str(self.ports["imaps"]),
            "SMTP_HOST": "localhost",
            "SMTP_PORT": str(self.ports["submission"]),
            "TLS_CA_FILE": str(self.certificate),
            "AI_API_KEY": "cdt-none",
            "MAX_MESSAGE_AGE_DAYS": "3650",
            **variables,
        }

    def _write(self) -> None:
        for name in ("mail", "dovecot", "dovecot-state", "postfix", "postfix-data", "queue"):
            (self.home / name).mkdir()
        shutil.chown(self.home / "mail", NOBODY, NOBODY)
        shutil.chown(self.home / "postfix-data", "postfix")
        people = (ASSISTANT, ALICE, BOB)
        (self.home / "users").write_text("".join(f"{user}:{{PLAIN}}{PASSWORD}\n" for user in people))
        # Postfix takes mail for gone@, Dovecot refuses it: a real delivery status notification comes back.
        boxes = (*people, "contact@cdt.example", "gone@client.example")
        (self.home / "postfix" / "mailboxes").write_text("".join(f"{box} x\n" for box in boxes))
        copy = ASSISTANT.replace("@", "+Sent@")
        (self.home / "postfix" / "copies").write_text(f"{ASSISTANT} {copy}\n")
        values = {"home": self.home, "nobody": NOBODY, **self.ports}
        (self.home / "dovecot.conf").write_text(DOVECOT.format(**values))
        (self.home / "postfix" / "main.cf").write_text(POSTFIX.format(**values))
        (self.home / "postfix" / "master.cf").write_text(SERVICES.format(**values))
        self._make_certificate()

    def _make_certificate(self) -> None:
        options = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=localhost"
        alternatives = "subjectAltName=DNS:localhost,IP:127.0.0.1"
        files = ("-keyout", str(self.home / "key.pem"), "-out", str(self.certificate))
        command = ["openssl", "req", *options.split(), "-addext", alternatives, *files]
        subprocess.run(command, check=True, capture_output=True)

    def _wait_for(self, name: str) -> None:
        end = time.monotonic() + START_WITHIN
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.ports[name]), timeout=1).close()
                return
            except OSError:
                assert time.monotonic() < end, f"{name} did not start"
                time.sleep(0.05)


def _end(pid_file: Path) -> None:
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text())
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    until = time.monotonic() + START_WITHIN
    while _is_running(pid):
        assert time.monotonic() < until, f"{pid_file} did not end"
        time.sleep(0.02)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
