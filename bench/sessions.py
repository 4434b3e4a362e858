#!/usr/bin/env python3
"""Holds idle SMTP sessions and tells what they cost the server.

    bench/sessions.py [--build build] [--sessions 10000]

Starts the embedded default, parks the sessions after EHLO, and prints the number of smtpd processes, the
difference in PSS over all processes of the server per session, and how soon one more session is answered.
"""
import argparse, os, pathlib, resource, signal, socket, subprocess, sys, tempfile, time


def descendants(pid):
    children = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        rest = text[text.rindex(")") + 2:].split()
        children.setdefault(int(rest[1]), []).append((int(text.split(" ", 1)[0]), text[text.index("(") + 1:text.rindex(")")]))
    found, todo = [], [pid]
    while todo:
        for child in children.get(todo.pop(), []):
            found.append(child)
            todo.append(child[0])
    return found


def pss_kib(pids):
    total = 0
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def park(port, count):
    """Opens sessions and says EHLO on each; returns their sockets."""
    sockets = []
    for i in range(count):
        s = socket.create_connection(("127.0.0.1", port), source_address=(f"127.0.0.{2 + i % 200}", 0))
        sockets.append(s)
    for s in sockets:
        s.recv(512)
        s.sendall(b"EHLO client.test\r\n")
    for s in sockets:
        s.recv(1024)
    return sockets


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--build", default="build")
    p.add_argument("--sessions", type=int, default=10000)
    args = p.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    port, dir = 14025, tempfile.mkdtemp(prefix="sessions.")
    os.chmod(dir, 0o755)
    server = subprocess.Popen([f"{args.build}/bin/merpati", "run", "--dir", f"{dir}/instance", "--port-offset",
                               str(port - 25), "-o", f"default_process_limit={args.sessions + 200}", "-o",
                               "smtpd_timeout=3600s"], stdout=subprocess.PIPE, text=True)
    try:
        while server.stdout.readline().strip() != "ready":
            if server.poll() is not None:
                sys.exit("the server did not start")
        before = pss_kib([pid for pid, _ in descendants(server.pid)])
        half = args.sessions // 2
        pid = os.fork()          # two clients, because one has not enough descriptors
        if pid == 0:
            park(port, args.sessions - half)
            signal.pause()
        start = time.monotonic()
        sockets = park(port, half)
        time.sleep(2)
        processes = descendants(server.pid)
        after = pss_kib([pid for pid, _ in processes])
        mark = time.monotonic()
        one = park(port, 1)
        answered = time.monotonic() - mark
        hosts = sum(name.startswith("smtpd") for _, name in processes)
        print(f"{args.sessions} sessions in {hosts} smtpd processes of {len(processes)} in all; "
              f"PSS {before} KiB before, {after} KiB with them: {(after - before) / args.sessions:.2f} KiB a session; "
              f"one more session was answered in {answered * 1000:.1f} ms")
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        for s in sockets + one:
            s.close()
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
        subprocess.run(["rm", "-rf", dir])


main()
