"""The relays of the bench: how each is set up, started, watched and stopped.

Both listen on a loopback port without TLS, sign every mail, keep their queue under the same folder (so on the same
disk), sync it before they answer, and send everything to the sink's port.
"""

import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time

DOMAIN = "example.test"
SELECTOR = "bench"


class Unavailable(Exception):
    """This rival cannot run here; the text says why."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, condition, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    raise RuntimeError(f"{what} did not happen within {seconds} s")


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def process_tree(roots):
    """The processes `roots` and all below them, as {pid: fields of /proc/PID/stat after the name}."""
    stats = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stats[int(entry)] = pathlib.Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
    wanted = {root for root in roots if root in stats}
    grown = True
    while grown:
        more = {pid for pid, fields in stats.items() if int(fields[1]) in wanted} - wanted
        wanted |= more
        grown = bool(more)
    return {pid: stats[pid] for pid in wanted}


class Rival:
    """A relay: `port` takes mail; `roots()` are its processes without a parent among its own."""

    name = ""
    user = secret = None

    def roots(self):
        raise NotImplementedError

    def cpu_seconds(self):
        # A living process's own time and that of its children that ended and were waited for: each counted once.
        ticks = sum(sum(int(field) for field in fields[11:15]) for fields in process_tree(self.roots()).values())
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Proportional set size in octets: pages that processes share are counted once in all."""
        total = 0
        for pid in process_tree(self.roots()):
            try:
                for line in open(f"/proc/{pid}/smaps_rollup", encoding="ascii"):
                    if line.startswith("Pss:"):
                        total += int(line.split()[1]) * 1024
            except OSError:
                continue
        return total


class Postfix(Rival):
    """Postfix with OpenDKIM as a milter over a Unix socket: the usual pair. Needs root and Debian's packages."""

    name = "postfix"

    def __init__(self, folder, sink_port, log):
        for program in ("postfix", "opendkim", "openssl"):
            if not shutil.which(program):
                raise Unavailable(f"{program} is not installed (Debian packages postfix and opendkim)")
        if os.geteuid() != 0:
            raise Unavailable("Postfix's master runs only as root")
        self.folder, self.log = pathlib.Path(folder), log
        self.port = free_port()
        self.etc, self.spool = self.folder / "etc", self.folder / "spool"
        for part in (self.etc, self.spool, self.folder / "data", self.folder / "log", self.folder / "milter"):
            part.mkdir(parents=True, exist_ok=True)
            part.chmod(0o755)
        shutil.chown(self.folder / "data", "postfix")
        shutil.chown(self.folder / "milter", "opendkim")
        self.milter_socket = self.folder / "milter" / "socket"
        self.opendkim = None
        self._write_opendkim()
        self._write_postfix(sink_port)

    def _write_opendkim(self):
        key = self.folder / "milter" / "key.pem"
        subprocess.run(["openssl", "genrsa", "-traditional", "-out", key, "2048"], check=True, stderr=self.log)
        os.chown(key, pwd.getpwnam("opendkim").pw_uid, -1)
        settings = {
            "Syslog": "no", "UserID": "opendkim", "Mode": "s", "Socket": f"local:{self.milter_socket}",
            "UMask": "000", "Domain": DOMAIN, "Selector": SELECTOR, "KeyFile": key, "RequireSafeKeys": "no",
            "SignatureAlgorithm": "rsa-sha256", "Canonicalization": "relaxed/relaxed", "OversignHeaders": "From",
            "InternalHosts": "127.0.0.0/8",
        }
        lines = (f"{name} {value}\n" for name, value in settings.items())
        (self.etc / "opendkim.conf").write_text("".join(lines))

    def _write_postfix(self, sink_port):
        settings = {
            "compatibility_level": "3.6", "queue_directory": self.spool, "data_directory": self.folder / "data",
            "command_directory": "/usr/sbin", "daemon_directory": "/usr/lib/postfix/sbin",
            "mail_owner": "postfix", "setgid_group": "postdrop",
            "maillog_file": self.folder / "log" / "maillog", "maillog_file_prefixes": "/",
            "myhostname": f"relay.{DOMAIN}", "mydestination": "", "local_transport": "error:no local mail",
            "alias_maps": "", "alias_database": "", "inet_interfaces": "127.0.0.1", "inet_protocols": "ipv4",
            "mynetworks": "127.0.0.0/8", "smtpd_relay_restrictions": "permit_mynetworks, reject",
            "relayhost": f"[127.0.0.1]:{sink_port}", "disable_dns_lookups": "yes", "smtpd_peername_lookup": "no",
            "smtp_tls_security_level": "none", "smtpd_tls_security_level": "none",
            "message_size_limit": "104857600", "mailbox_size_limit": "0",
            "smtpd_milters": f"unix:{self.milter_socket}", "milter_default_action": "tempfail",
            # Settings in its favour: many processes, many deliveries at once, no pause between the ends.
            "default_process_limit": "250", "initial_destination_concurrency": "20",
            "smtp_destination_concurrency_limit": "50", "qmgr_message_active_limit": "20000", "in_flow_delay": "0",
        }
        (self.etc / "main.cf").write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
        services = [f"127.0.0.1:{self.port} inet n - n - - smtpd"]
        unix = ["pickup n - n 60 1", "cleanup n - n - 0", "qmgr n - n 300 1", "tlsmgr - - n 1000? 1", "rewrite - - n - -",
                "bounce - - n - 0", "defer - - n - 0", "trace - - n - 0", "verify - - n - 1", "flush n - n 1000? 0",
                "proxymap - - n - -", "smtp - - n - -", "relay - - n - -", "showq n - n - -", "error - - n - -",
                "retry - - n - -", "discard - - n - -", "anvil - - n - 1", "scache - - n - 1"]
        daemon = {"rewrite": "trivial-rewrite", "defer": "bounce", "trace": "bounce", "relay": "smtp", "retry": "error"}
        for row in unix:
            service, rest = row.split(" ", 1)
            services.append(f"{service} unix {rest} {daemon.get(service, service)}")
        services.append("postlog unix-dgram n - n - 1 postlogd")
        (self.etc / "master.cf").write_text("\n".join(services) + "\n")

    def start(self):
        self.milter_socket.unlink(missing_ok=True)
        self.opendkim = subprocess.Popen(["opendkim", "-f", "-x", self.etc / "opendkim.conf"],
                                         stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        wait_for("OpenDKIM's socket", self.milter_socket.exists)
        subprocess.run(["postfix", "-c", self.etc, "start"], check=True, stdout=self.log, stderr=self.log)
        wait_for("Postfix's listener", lambda: listens(self.port))

    def roots(self):
        try:
            master = int((self.spool / "pid" / "master.pid").read_text())
        except (OSError, ValueError):
            master = 0
        return [pid for pid in (master, self.opendkim.pid if self.opendkim else 0) if pid]

    def stop(self):
        subprocess.run(["postfix", "-c", self.etc, "stop"], stdout=self.log, stderr=self.log, check=False)
        if self.opendkim:
            self.opendkim.terminate()
            self.opendkim.wait(20)
        wait_for("Postfix's end", lambda: not listens(self.port))


# Exim's deliveries outlive the processes that began them: somebody must inherit them, or their time is not counted.
SUBREAPER = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
child = os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
while True:
    try:
        os.waitpid(-1, 0)
    except ChildProcessError:
        break
"""


class Exim(Rival):
    """Exim with its own DKIM signer (RSA only), delivering at once. Needs root and an unpacked Debian package.

    Its CPU is a lower bound: where Exim ignores SIGCHLD, the kernel forgets what the child used.
    """

    name = "exim"

    def __init__(self, folder, sink_port, log, binary):
        self.binary = pathlib.Path(binary)
        if not self.binary.exists():
            raise Unavailable("Exim is not there: ops/ci/peers unpacks it")
        if os.geteuid() != 0:
            raise Unavailable("Exim's daemon runs only as root")
        self.folder, self.log, self.process = pathlib.Path(folder), log, None
        self.port = free_port()
        for part in ("spool", "log"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        key = self.folder / "key.pem"
        subprocess.run(["openssl", "genrsa", "-traditional", "-out", key, "2048"], check=True, stderr=log)
        for part in (self.folder, self.folder / "spool", self.folder / "log", key):
            shutil.chown(part, "Debian-exim", "Debian-exim")
        self.config = self.folder / "exim.conf"
        self.config.write_text(f"""exim_path = {self.binary}
spool_directory = {self.folder}/spool
log_file_path = {self.folder}/log/%slog
pid_file_path = {self.folder}/spool/pid
primary_hostname = relay.{DOMAIN}
local_interfaces = 127.0.0.1
daemon_smtp_ports = {self.port}
keep_environment =
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts =
message_size_limit = 100M
smtp_accept_max = 500
smtp_accept_queue_per_connection = 0
smtp_accept_max_per_connection = 0
queue_only_load = 1000
remote_max_parallel = 20
acl_smtp_rcpt = take
acl_smtp_data = accept
deliver_drop_privilege = true
begin acl
take:
  accept control = dkim_disable_verify
begin routers
all:
  driver = manualroute
  route_list = * 127.0.0.1::{sink_port}
  self = send
  transport = out
begin transports
out:
  driver = smtp
  hosts_avoid_tls = *
  dkim_domain = {DOMAIN}
  dkim_selector = {SELECTOR}
  dkim_private_key = {key}
  dkim_canon = relaxed
begin retry
* * F,1h,1m
""")

    def start(self):
        command = [sys.executable, "-c", SUBREAPER, str(self.binary), "-C", str(self.config), "-bdf", "-q1m"]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        wait_for("Exim's listener", lambda: listens(self.port))

    def roots(self):
        return [self.process.pid] if self.process else []

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(60)
            self.process = None


class Waxseal(Rival):
    """The gateway: every mail signed with the keys of `algorithms`, AUTH PLAIN on a loopback listener."""

    name = "waxseal"
    algorithms = ("rsa2048", "ed25519")
    limits = "connections_per_ip = 1000"

    def __init__(self, folder, sink_port, log, binary):
        if not os.access(binary, os.X_OK):
            raise Unavailable(f"{binary} is not built")
        self.binary, self.folder, self.log = str(binary), pathlib.Path(folder), log
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.config, self.process = self.folder / "waxseal.toml", None
        (self.folder / "kek").write_text(os.urandom(32).hex())
        (self.folder / "kek").chmod(0o600)
        self.config.write_text(f"""version = 1
hostname = "relay.{DOMAIN}"
data_dir = "{self.folder}/data"
[[listen]]
name = "submission"
addr = ["127.0.0.1:{self.port}"]
kind = "submission"
tls = "none"
[crypto]
kek = "file:{self.folder}/kek"
[limits]
{self.limits}
[queue]
reserve_free = "100MB"
[dkim]
algorithms = {json.dumps(self.algorithms)}
[[delivery.route]]
domain = "*"
host = "127.0.0.1:{sink_port}"
""")

    def cli(self, *words):
        done = subprocess.run([self.binary, *words, "--config", self.config], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"waxseal {' '.join(words)}: exit {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def start(self):
        events = open(self.folder / "events.jsonl", "ab")
        self.process = subprocess.Popen([self.binary, "serve", "--config", self.config],
                                        stdout=events, stderr=self.log, stdin=subprocess.DEVNULL)
        wait_for("Waxseal's readiness", self._healthy)
        if not self.user:
            self._provision()

    def _healthy(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"waxseal ended with {self.process.returncode}")
        command = [self.binary, "health", "--config", self.config]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def _provision(self):
        self.cli("tenant", "add", "bench")
        self.cli("domain", "add", DOMAIN, "--tenant", "bench")
        for key in json.loads(self.cli("dkim", "list", DOMAIN, "--json")):
            if key["state"] != "active":
                self.cli("dkim", "activate", DOMAIN, key["selector"], "--even-if-unpublished")
        credential = json.loads(self.cli("credential", "new", "--tenant", "bench", "--json"))
        self.user, self.secret = credential["user"], credential["secret"]

    def roots(self):
        return [self.process.pid] if self.process else []

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)


class WaxsealEd25519(Waxseal):
    """The gateway with Ed25519 keys only: what is left when the RSA signature is not the cost."""

    name = "ed25519"
    algorithms = ("ed25519",)
