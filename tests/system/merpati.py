"""What the whole-system tests share: servers in directories of their own, on free ports.

    with Server() as s:                  # the embedded default, by "merpati run"
        with s.smtp() as client: ...

    with Master(main_cf, master_cf) as m:    # master alone with given files
"""
import os, pathlib, poplib, re, shutil, signal, smtplib, socket, subprocess, tempfile, time, unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
PRIVATE_MOUNTS = SOURCE / "tests" / "system" / "private-mounts"
BUILD = pathlib.Path(os.environ.get("MERPATI_BUILD", "build")).resolve()
MASTER = BUILD / "libexec" / "master"
HELPERS = BUILD / "tests" / "helpers"
# A sanitized build takes its time.
PATIENCE = 60 if "san" in BUILD.name else 20

# SIGKILL and SIGTERM are sent by tests; the other signals say that a process broke, or broke through a wall.
SURPRISE = re.compile(r"panic: |Sanitizer|runtime error: |killed by signal (?!9\b|15\b)")


def wait_for(what, says, seconds=PATIENCE):
    """Asks what() until it gives something true, which is returned."""
    end = time.monotonic() + seconds
    while True:
        got = what()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} seconds for: {says}")
        time.sleep(0.02)


def free_port():
    """A port of 127.0.0.1 that nobody listens on (now)."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def free_offset():
    """An offset N with 25+N and 110+N free."""
    for _ in range(100):
        offset = free_port() - 25
        try:
            with socket.socket() as a, socket.socket() as b:
                a.bind(("127.0.0.1", 25 + offset))
                b.bind(("127.0.0.1", 110 + offset))
                return offset
        except (OSError, OverflowError):
            pass
    raise AssertionError("no free ports")


class Client:
    """A connection that speaks lines."""

    def __init__(self, port, timeout=PATIENCE):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.file = self.socket.makefile("rwb")
        self.greeting = self.read()

    def read(self):
        return self.file.readline().decode().rstrip("\r\n")

    def ask(self, line):
        self.file.write(line.encode() + b"\r\n")
        self.file.flush()
        return self.read()

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Process:
    """A server process in a temporary directory that goes with it."""

    faults = None   # a pattern of those that the test itself makes

    def __init__(self, prefix):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"merpati-{prefix}."))
        self.dir.chmod(0o755)
        self.process = None
        self.output = self.dir / "output"

    def spawn(self, *command, **kw):
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL,
                                        stdout=open(self.output, "ab"), stderr=subprocess.STDOUT, **kw)

    def text(self):
        """What it printed, and its log."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def wait_text(self, pattern, count=1, seconds=PATIENCE):
        """Waits until the text has count matches of the pattern; returns them."""
        def look():
            found = re.findall(pattern, self.text())
            if len(found) < count and self.process.poll() is not None:
                found = re.findall(pattern, self.text())
                if len(found) < count:
                    raise AssertionError(f"it ended with {self.process.poll()} before: {pattern}")
            return found if len(found) >= count else None
        try:
            return wait_for(look, pattern, seconds)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.text()}") from None

    def stop(self, signo=signal.SIGTERM, seconds=PATIENCE):
        """result: its exit status"""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signo)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"it does not end\n{self.text()}") from None

    def surprises(self):
        """Lines in which a process says that it has a fault, or master that one had."""
        lines = (self.text() + self.log()).splitlines()
        return [line for line in lines
                if SURPRISE.search(line) and not (self.faults and re.search(self.faults, line))]

    def log(self):
        """The log where that is not in what it prints."""
        return ""

    def close(self):
        """A test that passes while a process breaks has not passed."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        surprises = self.surprises()
        shutil.rmtree(self.dir, ignore_errors=True)
        if surprises:
            raise AssertionError("a process had a fault:\n" + "\n".join(surprises[:20]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def declared(path, pattern):
    """What the rows of one of the server's own tables say: a new row needs no line in the tests."""
    return re.findall(pattern, (SOURCE / path).read_text(), re.M)


# The users that the server runs as when root has started it, without their "merpati-".
USERS = sorted(set(declared("lib/proc/walls.def", r'^WALL\(\w+, "merpati-(\w+)"')))


class StandIns:
    """Helpers under the names of all programs that master knows."""

    @classmethod
    def install(cls, libexec):
        libexec.mkdir(parents=True, exist_ok=True)
        for name, kind in declared("master/programs.def", r"^PROGRAM\((\w+), (\w+)"):
            (libexec / name).unlink(missing_ok=True)
            link_or_copy(HELPERS / ("dummy_host" if kind == "HOST" else "dummy_worker"), libexec / name)


def link_or_copy(source, target):
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)


class Master(Process):
    """master with given configuration files and stand-ins for all programs."""

    def __init__(self, main="", master="", start=True):
        super().__init__("master")
        self.port = free_port()
        self.etc = self.dir / "etc"
        self.spool = self.dir / "spool"
        self.libexec = self.dir / "libexec"
        self.etc.mkdir()
        StandIns.install(self.libexec)
        self.configure(main, master)
        if start:
            self.start()

    def configure(self, main="", master=""):
        (self.etc / "main.cf").write_text(
            f"compatibility_level = 3.6\nqueue_directory = {self.spool}\nmaillog_file = /dev/stdout\n"
            f"inet_interfaces = 127.0.0.1\nmyhostname = mail.example.test\nmynetworks = 127.0.0.0/8\n{main}\n")
        (self.etc / "master.cf").write_text(
            f"127.0.0.1:{self.port} inet n - n - - smtpd\n"
            "cleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\nlocal unix - n n - - local\n"
            f"{master}\n")

    def start_as_root(self, libexec=None, users=()):
        """With the users of the server in an /etc/passwd that nobody else sees: merpati-<USERS[i]> is 7000 + i.
        users: lines of further ones"""
        passwd = self.dir / "passwd"
        passwd.write_text(open("/etc/passwd").read() + "".join(
            f"merpati-{name}:x:{7000 + i}:{7000 + i}::/nonexistent:/usr/sbin/nologin\n"
            for i, name in enumerate(USERS)) + "".join(line + "\n" for line in users))
        if subprocess.run([PRIVATE_MOUNTS, "/etc/passwd", passwd, "true"], stderr=subprocess.DEVNULL).returncode != 0:
            raise unittest.SkipTest("needs to be allowed to mount")
        self.spawn(PRIVATE_MOUNTS, "/etc/passwd", passwd,
                   MASTER, "-d", "-c", self.etc, "-x", libexec or self.libexec)

    def start(self):
        # Started by root all processes would need users of the system; the tests of that are elsewhere.
        kw = {}
        if os.getuid() == 0:
            for path in (self.dir, *self.dir.rglob("*")):
                os.chown(path, 65534, 65534)
            self.output.touch()
            kw = {"user": 65534, "group": 65534, "extra_groups": []}
        self.spawn(MASTER, "-d", "-c", self.etc, "-x", self.libexec, **kw)

    def client(self):
        """A greeted connection, as soon as somebody answers."""
        def connect():
            try:
                c = Client(self.port)
            except OSError:
                return None
            return c if c.greeting else None
        try:
            return wait_for(connect, "a greeting")
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.text()}") from None

    def status(self):
        """public/status: a list of dicts, "kind" the first word."""
        lines = []
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.spool / "public" / "status"))
            text = b"".join(iter(lambda: s.recv(65536), b"")).decode()
        for line in text.splitlines():
            words = line.split()
            lines.append({"kind": words[0], **dict(w.split("=", 1) for w in words[1:] if "=" in w)})
        return lines

    def processes(self, service=None):
        return [p for p in self.status() if p["kind"] == "process" and service in (None, p["service"])]


class Server(Process):
    """The embedded default: "merpati run" in a directory of its own."""

    def __init__(self, *options, users=("alice:alicepw", "bob:bobpw"), domain="example.test", start=True,
                 program=BUILD / "bin" / "merpati"):
        super().__init__("run")
        self.program = program
        self.offset = free_offset()
        self.smtp_port, self.pop3_port = 25 + self.offset, 110 + self.offset
        self.domain = domain
        self.options = [*options]
        if domain:
            self.options += ["--domain", domain]
        for user in users:
            self.options += ["--user", user]
        self.instance = self.dir / "instance"
        if start:
            self.start()

    def start(self, **kw):
        before = len(re.findall(r"(?m)^ready$", self.text()))
        self.spawn(self.program, "run", "--dir", self.instance, "--port-offset", self.offset, *self.options, **kw)
        self.wait_text(r"(?m)^ready$", before + 1)

    def smtp(self):
        return smtplib.SMTP("127.0.0.1", self.smtp_port, timeout=PATIENCE)

    def pop3(self, user="alice", password="alicepw"):
        p = poplib.POP3("127.0.0.1", self.pop3_port, timeout=PATIENCE)
        p.user(user)
        p.pass_(password)
        return p

    def log(self):
        log = self.instance / "log" / "mail.log"
        return log.read_text(errors="replace") if log.exists() else ""
