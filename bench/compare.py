#!/usr/bin/env python3
"""Merpati beside Debian's Postfix, interleaved in one run.

    bench/compare.py --postfix-root DIR [--build build] [--messages 4000] [--size 4096] [--sessions 20] [--rounds 3]

DIR is a private Debian root with Postfix installed (debootstrap, then apt-get install postfix in it);
Postfix runs chrooted there, both servers on loopback ports, both with their queue and mailboxes on the file
system of --work. For each target (a Maildir, the discard transport) the two take turns for --rounds rounds;
smtp-source (of DIR) sends. CPU is that of the server's processes alone (its cgroup), system calls and context
switches are counted by perf on the same processes. Needs root, cgroup v1 cpuacct, perf.
"""
import argparse, json, os, pathlib, re, shutil, signal, socket, statistics, subprocess, sys, tempfile, time

TARGETS = ("maildir", "discard")
CGROUP = pathlib.Path("/sys/fs/cgroup/cpuacct")


def wait_for_greeting(port):
    for _ in range(300):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as s:
                if s.recv(4):
                    return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"port {port} does not answer")


class Server:
    """One server in a cgroup of its own."""

    def __init__(self, name, port):
        self.name, self.port = name, port
        self.group = CGROUP / f"bench-{name}-{os.getpid()}"
        self.group.mkdir()

    def spawn(self, argv, **more):
        def enter():
            (self.group / "cgroup.procs").write_text(str(os.getpid()))
        return subprocess.Popen(argv, preexec_fn=enter, stdout=subprocess.DEVNULL, **more)

    def pids(self):
        return (self.group / "cgroup.procs").read_text().split()

    def cpu(self):
        return int((self.group / "cpuacct.usage").read_text()) / 1e9

    def close(self):
        for _ in range(100):
            if not self.pids():
                break
            time.sleep(0.1)
        for pid in self.pids():
            os.kill(int(pid), signal.SIGKILL)
        time.sleep(0.2)
        self.group.rmdir()


class Postfix(Server):
    def __init__(self, root, work, port):
        super().__init__("postfix", port)
        self.root = pathlib.Path(root)
        self.mail = work / "postfix-mail"
        inside = self.root / "srv/bench"
        inside.mkdir(parents=True, exist_ok=True)
        self.mail.mkdir()
        subprocess.run(["mount", "--bind", work, inside], check=True)
        etc = self.root / "etc/postfix"
        master = re.sub(r"^smtp +inet .*$", f"127.0.0.1:{port} inet n - y - - smtpd",
                        (etc / "master.cf").read_text(), flags=re.M)
        if f":{port} inet" not in master:
            master = re.sub(r"^127.0.0.1:\d+ inet .*$", f"127.0.0.1:{port} inet n - y - - smtpd", master, flags=re.M)
        (etc / "master.cf").write_text(master)
        uid = 4000
        os.chown(self.mail, uid, uid)
        (etc / "main.cf").write_text(
            "compatibility_level = 3.6\nmyhostname = bench.test\nmydestination = localhost\nmynetworks = 127.0.0.0/8\n"
            "inet_interfaces = all\ninet_protocols = ipv4\nalias_maps =\nlocal_recipient_maps =\n"
            "virtual_mailbox_domains = maildir.test\nvirtual_mailbox_maps = static:box/\n"
            f"virtual_mailbox_base = /srv/bench/postfix-mail\nvirtual_uid_maps = static:{uid}\n"
            f"virtual_gid_maps = static:{uid}\nrelay_domains = discard.test\n"
            "transport_maps = inline:{ discard.test=discard: }\nsmtpd_client_connection_count_limit = 0\n"
            "maillog_file = /srv/bench/postfix.log\nmaillog_file_prefixes = /srv\n"
            "queue_directory = /var/spool/postfix\n")
        self.process = self.spawn(["chroot", str(self.root), "/usr/lib/postfix/sbin/master", "-d"] if False else
                                  ["chroot", str(self.root), "/usr/sbin/postfix", "start-fg"],
                                  stderr=subprocess.DEVNULL)
        wait_for_greeting(port)

    def stop(self):
        subprocess.run(["chroot", str(self.root), "/usr/sbin/postfix", "stop"], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        self.process.terminate()
        self.close()
        subprocess.run(["umount", str(self.root / "srv/bench")], check=False)


class Merpati(Server):
    def __init__(self, build, work, port):
        super().__init__("merpati", port)
        self.dir = work / "merpati"
        self.mail = self.dir / "mail"
        self.process = self.spawn(
            [str(pathlib.Path(build).resolve() / "bin/merpati"), "run", "--dir", str(self.dir), "--domain",
             "maildir.test", "--port-offset", str(port - 25), "-o", "virtual_mailbox_maps=static:box/",
             "-o", "relay_domains=discard.test", "-o", "transport_maps=inline:{ discard.test=discard: }",
             "-o", "smtpd_client_connection_count_limit=0"], stderr=subprocess.DEVNULL)
        wait_for_greeting(port)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.close()


def count(mail):
    return sum(len(files) for path, _, files in os.walk(mail) if os.path.basename(path) in ("new", "cur"))


def log_count(path, pattern):
    return pathlib.Path(path).read_bytes().count(pattern) if path.exists() else 0


def one_run(server, source, target, args, log):
    """Sends the messages and waits until all are delivered; returns the figures per message."""
    done = (lambda: count(server.mail)) if target == "maildir" else (lambda: log_count(log, b"status=sent"))
    before, cpu = done(), server.cpu()
    perf = subprocess.Popen(["perf", "stat", "-x", ";", "-e", "raw_syscalls:sys_enter,context-switches", "-p",
                             ",".join(server.pids())], stderr=subprocess.PIPE, text=True)
    time.sleep(0.5)
    start = time.monotonic()
    subprocess.run(source + ["-s", str(args.sessions), "-m", str(args.messages), "-l", str(args.size), "-f",
                             "a@remote.test", "-t", f"x@{target}.test", f"127.0.0.1:{server.port}"], check=True)
    acked = time.monotonic() - start
    while done() - before < args.messages:
        if time.monotonic() - start > 300:
            sys.exit(f"{server.name}: only {done() - before} of {args.messages} delivered to {target}")
        time.sleep(0.05)
    wall = time.monotonic() - start
    perf.send_signal(signal.SIGINT)
    counts = {m.group(2): int(m.group(1)) for m in
              re.finditer(r"^(\d+);[^;]*;([a-z_:-]+)", perf.communicate()[1], re.M)}
    n = args.messages
    return {"cpu_ms": (server.cpu() - cpu) * 1000 / n, "msg_s": n / wall, "acked_s": n / acked,
            "syscalls": counts.get("raw_syscalls:sys_enter", 0) / n, "switches": counts.get("context-switches", 0) / n}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--postfix-root", required=True)
    p.add_argument("--build", default="build")
    p.add_argument("--work", default="/var/tmp")
    p.add_argument("--messages", type=int, default=4000)
    p.add_argument("--size", type=int, default=4096)
    p.add_argument("--sessions", type=int, default=20)
    p.add_argument("--rounds", type=int, default=3)
    args = p.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="bench.", dir=args.work))
    work.chmod(0o755)
    source = ["chroot", args.postfix_root, "/usr/sbin/smtp-source"]
    servers, results = [], {}
    try:
        servers.append(Postfix(args.postfix_root, work, 12025))
        servers.append(Merpati(args.build, work, 13025))
        logs = {"postfix": work / "postfix.log", "merpati": work / "merpati/log/mail.log"}
        for target in TARGETS:
            for _ in range(args.rounds):
                for server in servers:
                    figures = one_run(server, source, target, args, logs[server.name])
                    results.setdefault((target, server.name), []).append(figures)
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(work, ignore_errors=True)
    print(f"{args.messages} messages of {args.size} octets, {args.sessions} sessions, medians of {args.rounds} rounds")
    print(f"{'':22}{'CPU ms':>9}{'msg/s':>9}{'acked/s':>9}{'syscalls':>10}{'switches':>10}   per message")
    for (target, name), rows in results.items():
        m = {k: statistics.median(r[k] for r in rows) for k in rows[0]}
        print(f"{target:10}{name:12}{m['cpu_ms']:9.3f}{m['msg_s']:9.0f}{m['acked_s']:9.0f}{m['syscalls']:10.1f}{m['switches']:10.2f}")
    for target in TARGETS:
        ratio = statistics.median(m["cpu_ms"] / f["cpu_ms"] for m, f in
                                  zip(results[target, "merpati"], results[target, "postfix"]))
        print(f"{target}: Merpati uses {ratio:.3f} of Postfix's CPU")


main()
