"""Hosts of their own, each a network namespace with one address on a common network; all gone with the test.

    with Network("a", "b") as net:
        net.addresses["a"] ... net.spawn("a", "some", "server") ... net.run("b", "curl", "...").stdout

Root makes the namespaces as such; anybody else makes a user namespace around them, in which commands still run
as the same user. Any port of a host can be listened on by everybody."""
import os, subprocess

NET = "10.77.0."


class Network:
    def __init__(self, *names):
        self.holders = []
        self.addresses, self.pids = {}, {}
        try:
            self.switch = self.hold("switch", first=True)
            self.root("switch", "ip", "link", "add", "hub", "type", "bridge")
            self.root("switch", "ip", "link", "set", "hub", "up")
            self.root("switch", "ip", "addr", "add", NET + "1/24", "dev", "hub")
            for i, name in enumerate(names):
                self.add(name, f"{NET}{i + 2}")
        except BaseException:
            self.close()
            raise

    # --- making ---------------------------------------------------------------------------

    def hold(self, name, first=False):
        """A process that keeps a namespace until its standard input ends."""
        command = ["unshare", "--net", "--", "sh", "-c", "echo here; exec cat"]
        if os.getuid() != 0:
            command = ["unshare", "--user", "--map-root-user", *command[1:]] if first else \
                [*self.entry("switch", net=False), *command]
        holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.holders.append(holder)
        if holder.stdout.readline() != "here\n":
            raise AssertionError("no namespace could be made (unprivileged user namespaces have to be allowed)")
        self.pids[name] = holder.pid
        self.root(name, "ip", "link", "set", "lo", "up")
        self.root(name, "sysctl", "-q", "-w", "net.ipv4.ip_unprivileged_port_start=0")
        return holder.pid

    def add(self, name, address):
        self.hold(name)
        self.root("switch", "ip", "link", "add", f"to-{name}", "type", "veth", "peer", "name", "eth0",
                  "netns", str(self.pids[name]))
        self.root("switch", "ip", "link", "set", f"to-{name}", "master", "hub", "up")
        self.root(name, "ip", "addr", "add", f"{address}/24", "dev", "eth0")
        self.root(name, "ip", "link", "set", "eth0", "up")
        self.addresses[name] = address

    # --- running --------------------------------------------------------------------------

    def entry(self, name, net=True):
        command = ["nsenter", "--target", str(self.pids[name])]
        if os.getuid() != 0:
            command += ["--user", "--preserve-credentials"]
        return command + (["--net"] if net else [])

    def root(self, name, *command):
        """As the namespace's root."""
        done = subprocess.run([*self.entry(name), *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise AssertionError(f"{' '.join(command)}: {done.stdout}")

    def command(self, name, *command):
        """What runs a command on a host, as the user who runs the tests."""
        me = [] if os.getuid() == 0 else ["unshare", "--user", f"--map-user={os.getuid()}", f"--map-group={os.getgid()}"]
        return [*self.entry(name), *me, *(str(c) for c in command)]

    def run(self, name, *command, **kw):
        return subprocess.run(self.command(name, *command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw)

    def cut(self, name):
        """Takes the host off the network."""
        self.root("switch", "ip", "link", "set", f"to-{name}", "down")

    def join(self, name):
        self.root("switch", "ip", "link", "set", f"to-{name}", "up")

    def close(self):
        for holder in self.holders:
            holder.stdin.close()
            holder.wait()
            holder.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
