"""A real name server (nsd) on a free port of 127.0.0.1, with zones that a test writes, signed where it wants that.

    with NameServer({".": "", "example.test": "@ MX 10 mail\\nmail A 127.0.0.1\\n"}, signed=[".", "example.test"]) as ns:
        ... f"dnsd_forwarders = 127.0.0.1@{ns.port}\\ndnsd_trust_anchor_files = {ns.anchors}" ...

Each zone gets a SOA and an NS record of its own, and where its parent is served too a delegation there, with DS
records where it is signed. Asked as a forwarder this server so answers for all names of its zones.

ScriptedServer answers whatever a function makes of a question."""
import os, pathlib, pwd, re, shutil, signal, socket, struct, subprocess, tempfile, threading, time

from merpati import PATIENCE, free_port, wait_for

ALGORITHM = "ECDSAP256SHA256"
DAY = 86400


def parent_of(zone, zones):
    """The closest of zones above this one, or None."""
    while zone != ".":
        zone = zone.split(".", 1)[1] if "." in zone else "."
        if zone in zones:
            return zone
    return None


class NameServer:
    """signed: the zones that have keys; unlinked: of these, whose parents have no DS for them (insecure);
    expired: whose signatures are of last year"""

    def __init__(self, zones, signed=(), unlinked=(), expired=(), ttl=60, negative_ttl=5):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="merpati-nsd."))
        self.dir.chmod(0o755)
        self.port = free_port()
        self.zones, self.signed, self.unlinked, self.expired = dict(zones), set(signed), set(unlinked), set(expired)
        self.ttl, self.negative_ttl, self.serial = ttl, negative_ttl, 1
        self.keys, self.process = {}, None
        self.anchors = self.dir / "anchors"
        try:
            for zone in self.signed:
                self.make_keys(zone)
            self.anchors.write_text("".join(self.anchor(zone) for zone in sorted(self.signed)
                                            if parent_of(zone, self.signed) is None))
            self.write_zones()
            self.start()
        except BaseException:
            self.close()
            raise

    # --- zones --------------------------------------------------------------------------

    def run(self, *command):
        done = subprocess.run([str(c) for c in command], cwd=self.dir, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise AssertionError(f"{' '.join(map(str, command))}: {done.stdout}")
        return done.stdout.strip()

    def make_keys(self, zone):
        """One key for everything in a zone."""
        self.keys[zone] = self.run("ldns-keygen", "-k", "-r", "/dev/urandom", "-a", ALGORITHM, zone)

    def key_file(self, zone, suffix):
        return (self.dir / (self.keys[zone] + suffix)).read_text()

    def anchor(self, zone):
        """What makes the zone's signatures trusted, as a line of a file of trust anchors."""
        return self.key_file(zone, ".key")

    def file(self, zone):
        return self.dir / ("root.zone" if zone == "." else f"{zone}.zone")

    def text(self, zone):
        origin = "." if zone == "." else zone + "."
        below = "" if zone == "." else "." + origin
        lines = [f"$ORIGIN {origin}", f"$TTL {self.ttl}",
                 f"@ SOA ns{below or '.'} hostmaster{below or '.'} {self.serial} 3600 600 86400 {self.negative_ttl}",
                 f"@ NS ns{below or '.'}", f"ns{below or '.'} A 127.0.0.1"]
        for child in self.zones:
            if child != zone and parent_of(child, self.zones) == zone:
                lines += [f"{child}. NS ns.{child}.", f"ns.{child}. A 127.0.0.1"]
                if child in self.signed and child not in self.unlinked:
                    lines.append(self.key_file(child, ".ds").strip())
        return "\n".join(lines) + "\n" + self.zones[zone] + "\n"

    def write_zones(self):
        for zone in self.zones:
            self.file(zone).write_text(self.text(zone))
            if zone in self.signed:
                now = time.time()
                begin, end = (now - 400 * DAY, now - 30 * DAY) if zone in self.expired else (now - DAY, now + 30 * DAY)
                self.run("ldns-signzone", "-i", int(begin), "-e", int(end), "-f", self.file(zone).name + ".signed",
                         self.file(zone).name, self.keys[zone])
                shutil.move(f"{self.file(zone)}.signed", self.file(zone))
        self.serial += 1

    def set_zone(self, zone, text):
        """Other contents, from now on."""
        self.zones[zone] = text
        self.write_zones()
        self.restart()

    def spoil(self, zone, name, rrtype):
        """Makes the signature of these records wrong."""
        path, spoiled = self.file(zone), 0
        lines = path.read_text().splitlines()
        for n, line in enumerate(lines):
            if re.match(rf"{re.escape(name)}\.\s+\d+\s+IN\s+RRSIG\s+{rrtype}\s", line):
                words = line.split()
                words[-1] = ("A" if words[-1][0] != "A" else "B") + words[-1][1:]
                lines[n], spoiled = " ".join(words), spoiled + 1
        if not spoiled:
            raise AssertionError(f"{name} has no signed {rrtype} records in {zone}")
        path.write_text("\n".join(lines) + "\n")
        self.restart()

    # --- the process ------------------------------------------------------------------------

    def configure(self):
        d = self.dir
        text = (f"server:\n server-count: 1\n ip-address: 127.0.0.1@{self.port}\n username: \"{pwd.getpwuid(os.getuid()).pw_name}\"\n"
                f" chroot: \"\"\n zonesdir: \"{d}\"\n pidfile: \"{d}/nsd.pid\"\n logfile: \"{d}/log\"\n database: \"\"\n"
                f" xfrdfile: \"{d}/xfrd.state\"\n xfrdir: \"{d}\"\n zonelistfile: \"{d}/zone.list\"\n"
                f" rrl-ratelimit: 0\n rrl-whitelist-ratelimit: 0\n tcp-count: 50\nremote-control:\n control-enable: no\n")
        for zone in self.zones:
            text += f"zone:\n name: \"{zone}\"\n zonefile: \"{self.file(zone)}\"\n"
        (d / "nsd.conf").write_text(text)

    def answers(self):
        """Whether it does, by UDP."""
        query = struct.pack(">HHHHHH", 4711, 0, 1, 0, 0, 0) + encode_name(next(iter(self.zones))) + struct.pack(">HH", 6, 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.2)
            try:
                s.connect(("127.0.0.1", self.port))
                s.send(query)
                return s.recv(4096)[:2] == query[:2]
            except OSError:
                if self.process.poll() is not None:
                    raise AssertionError("nsd ended:\n" + (self.dir / "log").read_text()) from None
                return False

    def start(self):
        self.configure()
        nsd = shutil.which("nsd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        self.process = subprocess.Popen([nsd, "-d", "-c", str(self.dir / "nsd.conf")], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self.answers, "an answer of nsd")

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(PATIENCE)
            self.process = None

    def restart(self):
        self.stop()
        self.start()

    def close(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# --- a server that says what it is told ------------------------------------------------------

RCODES = {"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMP": 4, "REFUSED": 5}


def encode_name(name):
    labels = [l for l in name.rstrip(".").split(".") if l]
    return b"".join(bytes([len(l)]) + l.encode("latin-1") for l in labels) + b"\0"


class Question:
    def __init__(self, packet):
        self.packet, self.id = packet, packet[:2]
        labels, at = [], 12
        while packet[at]:
            labels.append(packet[at + 1:at + 1 + packet[at]].decode("latin-1"))
            at += 1 + packet[at]
        self.name = ".".join(labels) + "."
        self.type, = struct.unpack(">H", packet[at + 1:at + 3])
        self.section = packet[12:at + 5]

    def reply(self, rcode="NOERROR", answers=(), authority=()):
        """answers, authority: (type, ttl, rdata), or (name, type, ttl, rdata)"""
        def encode(records):
            out = b""
            for r in records:
                name, (rrtype, ttl, data) = (b"\xc0\x0c", r) if len(r) == 3 else (encode_name(r[0]), r[1:])
                out += name + struct.pack(">HHIH", rrtype, 1, ttl, len(data)) + data
            return out
        return self.id + struct.pack(">HHHHH", 0x8580 | RCODES[rcode], 1, len(answers), len(authority), 0) + \
            self.section + encode(answers) + encode(authority)


class ScriptedServer:
    """By UDP and TCP; answer(question) gives the octets of a reply, or None: silence."""

    def __init__(self, answer):
        self.answer, self.questions = answer, []
        for _ in range(100):
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind(("127.0.0.1", 0))
            self.port = self.udp.getsockname()[1]
            self.tcp = socket.socket()
            try:
                self.tcp.bind(("127.0.0.1", self.port))
                break
            except OSError:
                self.udp.close()
                self.tcp.close()
        self.tcp.listen(50)
        threading.Thread(target=self.serve_udp, daemon=True).start()
        threading.Thread(target=self.serve_tcp, daemon=True).start()

    def handle(self, packet):
        question = Question(packet)
        self.questions.append(question)
        return self.answer(question)

    def serve_udp(self):
        try:
            while True:
                packet, peer = self.udp.recvfrom(65535)
                if not packet:
                    return
                reply = self.handle(packet)
                if reply is not None:
                    self.udp.sendto(reply, peer)
        except OSError:
            pass

    def serve_one(self, sock):
        with sock, sock.makefile("rwb") as f:
            while len(head := f.read(2)) == 2:
                reply = self.handle(f.read(struct.unpack(">H", head)[0]))
                if reply is None:
                    return
                f.write(struct.pack(">H", len(reply)) + reply)
                f.flush()

    def serve_tcp(self):
        try:
            while True:
                sock, _ = self.tcp.accept()
                threading.Thread(target=self.serve_one, args=(sock,), daemon=True).start()
        except OSError:
            pass

    def close(self):
        for s in (self.udp, self.tcp):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
