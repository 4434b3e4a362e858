"""Nothing acknowledged is lost and nothing is delivered twice, whatever is killed at whatever moment."""
import os, pathlib, random, re, shutil, signal, smtplib, threading, time, unittest

from merpati import Server, wait_for

KILLS = int(os.environ.get("MERPATI_KILLS", "200"))
SENDERS = 4


def daemons(server):
    """(name, pid) of all processes of the server but the command that runs it."""
    parent, name = {}, {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        pid = int(text.split(" ", 1)[0])
        name[pid] = text[text.index("(") + 1:text.rindex(")")]
        parent[pid] = int(text[text.rindex(")") + 2:].split()[1])
    def is_ours(pid):
        while pid > 1 and pid != server.process.pid:
            pid = parent.get(pid, 0)
        return pid == server.process.pid
    return [(name[pid], pid) for pid in parent if pid != server.process.pid and is_ours(pid)]


def kill_one(server, rng):
    """Kills one daemon; where it was master, the server is started again. result: its name, or None"""
    victims = daemons(server)
    # Each name has the same chance, however many processes have it.
    victims = [v for v in victims if v[0] == rng.choice(sorted({n for n, _ in victims}))] if victims else []
    if not victims:
        return None
    name, pid = rng.choice(victims)
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return None
    if name == "master":
        server.stop()
        server.start()
    return name


class Load(threading.Thread):
    """Sends messages without pause, each with a mark of its own, and keeps what was acknowledged."""

    def __init__(self, server, name):
        super().__init__(daemon=True)
        self.server, self.name, self.stop = server, name, False
        self.acked, self.sent = [], 0

    def run(self):
        while not self.stop:
            try:
                with smtplib.SMTP("127.0.0.1", self.server.smtp_port, timeout=20) as s:
                    for _ in range(20):
                        self.send(s)
                        if self.stop:
                            return
            except (OSError, smtplib.SMTPException):
                time.sleep(0.02)

    def send(self, s):
        mark = f"{self.name}-{self.sent}"
        self.sent += 1
        size = random.choice((10, 2000, 90000)) if self.sent % 10 == 0 else 300
        text = f"Subject: x\nX-Mark: {mark}\nMessage-ID: <{mark}@kill.test>\n\n" + "y" * 70 + "\n" * (size // 70)
        s.sendmail("a@remote.test", ["alice@example.test"], text)
        self.acked.append(mark)


def marks(mail):
    """The marks of all messages in the mailboxes, with repetitions."""
    found = []
    for path in mail.glob("**/*"):
        if path.is_file() and path.parent.name in ("new", "cur"):
            m = re.search(rb"^X-Mark: (\S+)", path.read_bytes()[:4000], re.M)
            if m:
                found.append(m.group(1).decode())
    return found


def story(server, mark):
    """What the log says of a message, by its mark."""
    log = server.log()
    ids = set(re.findall(rf"cleanup\[\d+\]: (\w+): message-id=<{mark}@kill.test>", log))
    return f"{mark}:\n" + "\n".join(line for line in log.splitlines() if any(i in line for i in ids))


class Kill(unittest.TestCase):
    def test_kill_9_at_random_moments_under_load(self):
        rng = random.Random(int(os.environ.get("MERPATI_SEED", str(time.time_ns() % 100000))))
        killed = {}
        with Server("-o", "minimal_backoff_time=1s", "-o", "maximal_backoff_time=5s", "-o",
                    "queue_run_delay=1s") as server:
            load = [Load(server, f"s{i}") for i in range(SENDERS)]
            for thread in load:
                thread.start()
            wait_for(lambda: sum(len(t.acked) for t in load) > 0, "a first message")
            while sum(killed.values()) < KILLS:
                time.sleep(rng.uniform(0.005, 0.15))        # a random moment is what is tried here
                name = kill_one(server, rng)
                if name:
                    killed[name] = killed.get(name, 0) + 1
            for thread in load:
                thread.stop = True
            for thread in load:
                thread.join(60)
            acked = {m for t in load for m in t.acked}
            try:
                wait_for(lambda: acked <= set(marks(server.instance / "mail")), "all acknowledged mail", 120)
            except AssertionError:
                pass
            found = marks(server.instance / "mail")
            lost = acked - set(found)
            twice = {m for m in found if found.count(m) > 1} if len(found) != len(set(found)) else set()
            print(f"killed {killed}; acknowledged {len(acked)}, lost {len(lost)}, delivered twice {len(twice)}")
            if lost and os.environ.get("MERPATI_KEEP"):     # for whoever looks into it
                shutil.copytree(server.instance, os.environ["MERPATI_KEEP"])
            for mark in sorted(lost)[:2]:
                print(story(server, mark))
            self.assertGreater(len(acked), 50)
            self.assertEqual((sorted(lost)[:5], sorted(twice)[:5]), ([], []))


if __name__ == "__main__":
    unittest.main()
