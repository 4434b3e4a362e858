"""master with stand-ins for all other programs."""
import fcntl, os, pathlib, re, signal, socket, subprocess, time, unittest

from merpati import BUILD, Client, MASTER, Master, USERS, free_port, wait_for

CORES = min(os.cpu_count(), 64)


def alive(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def fields(greeting):
    """of the stand-in's greeting"""
    names = ("code", "service", "pid", "incarnation", "slot", "limit", "generation")
    return dict(zip(names, greeting.split()))


class Start(unittest.TestCase):
    def refused(self, pattern, main="", master=""):
        with Master(main, master) as m:
            status = m.process.wait(20)
            self.assertEqual(status, 1, m.text())
            self.assertRegex(m.text(), pattern)
            self.assertFalse((m.spool / "public" / "status").exists(), "nothing was started")

    def test_serves_and_ends_cleanly_on_sigterm(self):
        with Master() as m:
            with m.client() as c:
                self.assertTrue(c.greeting.startswith("220 "))
            pids = [p["pid"] for p in m.processes()]

            self.assertEqual(m.stop(), 0, m.text())

            self.assertFalse([p for p in pids if alive(p)])

    def test_ends_cleanly_on_ctrl_c(self):
        with Master() as m:
            m.client().close()

            self.assertEqual(m.stop(signal.SIGINT), 0, m.text())

    def test_hosts_share_the_limit_of_their_service(self):
        port = free_port()
        with Master(master=f"127.0.0.1:{port} inet n - n - 7 smtpd") as m:
            m.client().close()
            wait_for(lambda: len([p for p in m.processes(f"127.0.0.1:{port}") if p["state"] == "ready"]) == min(CORES, 7),
                     "all hosts")
            limits = {}
            for _ in range(200):
                with Client(port) as c:
                    g = fields(c.greeting)
                    limits[g["slot"]] = int(g["limit"])
                if len(limits) == min(CORES, 7):
                    break

            if len(limits) == min(CORES, 7):
                self.assertEqual(sum(limits.values()), 7)
            for limit in limits.values():
                self.assertIn(limit, (7 // min(CORES, 7), 7 // min(CORES, 7) + 1))

    def test_refuses_an_open_relay(self):
        self.refused(r"main\.cf:7: service .*: this would be an open relay: put reject_unauth_destination",
                     main="smtpd_relay_restrictions = permit\nsmtpd_recipient_restrictions = permit_mynetworks")

    def test_refuses_a_relay_for_everybody(self):
        self.refused(r"mynetworks: with 0\.0\.0\.0/0 in it this would be an open relay", main="mynetworks = 0.0.0.0/0")

    def test_names_the_line_of_a_wrong_value(self):
        self.refused(r"main\.cf:7: .*smtpd_timeout", main="smtpd_timeout = soon")

    def test_names_the_line_of_a_wrong_option(self):
        self.refused(r"master\.cf:5: .*smtpd_timeout", master="2525 inet n - n - - smtpd\n  -o smtpd_timeout=soon")

    def test_names_an_unknown_command(self):
        self.refused(r'master\.cf:5: command "smtpdd": there is no such program', master="2525 inet n - n - - smtpdd")

    def test_names_a_port_that_is_taken(self):
        import socket
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen()
            port = s.getsockname()[1]
            self.refused(r"cannot listen on inet:\[127\.0\.0\.1\]:%d: Address already in use: another server" % port,
                         master=f"127.0.0.1:{port} inet n - n - - smtpd")

    def test_refuses_a_second_server_on_the_same_queue(self):
        with Master() as m:
            m.client().close()
            second = subprocess.run([MASTER, "-d", "-c", m.etc, "-x", m.libexec], capture_output=True, text=True,
                                    timeout=20, **same_user())

            self.assertEqual(second.returncode, 1)
            self.assertIn(f"the server is running already: pid {m.process.pid}", second.stderr)

    def test_check_is_silent_about_a_good_configuration(self):
        with Master(start=False) as m:
            done = subprocess.run([MASTER, "-t", "-c", m.etc, "-x", m.libexec], capture_output=True, text=True, timeout=20,
                                  **same_user())

            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_goes_to_the_background(self):
        with Master(start=False) as m:
            m.configure(f"maillog_file = {m.dir}/log\nmaillog_file_prefixes = {m.dir}")
            give_away(m)
            done = subprocess.run([MASTER, "-c", m.etc, "-x", m.libexec], capture_output=True, text=True, timeout=20,
                                  **same_user())
            self.assertEqual(done.returncode, 0, done.stderr)
            pid = int((m.spool / "pid" / "master.pid").read_text())
            try:
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect(os.path.relpath(m.spool / "public" / "status"))
                    self.assertIn(f"server pid={pid} ", s.makefile().read())
                self.assertIn(f"[{pid}]: daemon started", (m.dir / "log").read_text())
                m.client().close()
            finally:
                os.kill(pid, signal.SIGTERM)
            wait_for(lambda: not alive(pid), "its end")
            self.assertIn("daemon stopped", (m.dir / "log").read_text())


def same_user():
    return {"user": 65534, "group": 65534, "extra_groups": []} if os.getuid() == 0 else {}


def give_away(m):
    if os.getuid() == 0:
        for path in (m.dir, *m.dir.rglob("*")):
            os.chown(path, 65534, 65534)


class Channels(unittest.TestCase):
    def test_leads_a_caller_to_a_service(self):
        with Master() as m, m.client() as c:
            self.assertRegex(c.ask("call cleanup"), r"^said cleanup \d+ \d+ 0 1$")

    def test_refuses_what_is_beyond_the_wall_of_the_asker(self):
        with Master() as m, m.client() as c:
            self.assertEqual(c.ask("call qmgr"), "no channel")
            self.assertIn("asks for a channel to qmgr, which is beyond its wall", m.text())

    def test_refuses_a_service_that_is_not_there(self):
        with Master() as m, m.client() as c:
            self.assertEqual(c.ask("call nonsense"), "no channel")

    def test_leads_to_a_new_process_when_one_has_crashed(self):
        with Master() as m, m.client() as c:
            m.faults = r"cleanup pid \d+ killed by signal 6"
            first = c.ask("call cleanup").split()
            self.assertTrue(c.ask("call cleanup crash").startswith("lost"))

            second = c.ask("call cleanup").split()

            self.assertEqual(second[0], "said", m.text())
            self.assertGreater(int(second[3]), int(first[3]), "its incarnation")
            self.assertRegex(m.text(), r"warning: process \S+/cleanup pid \d+ killed by signal 6")

    @unittest.skipIf(CORES < 2, "one processor has one process of each")
    def test_gives_each_caller_a_shared_process_of_its_own_as_long_as_there_are_processors(self):
        with Master() as m:
            slots = {}
            def session():
                c = m.client()
                slots[fields(c.greeting)["slot"]] = c.ask("call cleanup").split()[4]
                c.close()
                return len(slots) >= 2
            wait_for(session, "sessions in two hosts")

            self.assertEqual(len(set(slots.values())), 2, slots)

    def test_gives_a_worker_with_one_caller_to_one_caller(self):
        with Master() as m, m.client() as c:
            slots = c.ask("chain 5").split()[1:]

            self.assertEqual(sorted(slots), ["0", "1", "2", "3", "4"], m.text())

    def test_uses_workers_again_that_are_idle(self):
        with Master() as m, m.client() as c:
            c.ask("chain 3")
            wait_for(lambda: all(p["callers"] == "0" for p in m.processes("local")), "idle workers")
            before = {p["pid"] for p in m.processes("local")}

            slots = c.ask("chain 3").split()[1:]

            self.assertEqual(sorted(slots), ["0", "1", "2"])
            self.assertEqual({p["pid"] for p in m.processes("local")}, before)

    def test_lets_requests_beyond_maxproc_wait_their_turn(self):
        with Master(master="local unix - n n - 2 local") as m, m.client() as c:
            # The first two are closed half a second later, which makes room for the others.
            slots = c.ask("chain 2").split()[1:]
            self.assertEqual(sorted(slots), ["0", "1"])

            slots = c.ask("chain 2").split()[1:]

            self.assertEqual(sorted(slots), ["0", "1"], m.text())
            self.assertEqual(len(m.processes("local")), 2)


class Faults(unittest.TestCase):
    def test_starts_a_killed_host_again_within_two_seconds(self):
        with Master() as m:
            m.client().close()
            for _ in range(3):
                wait_for(lambda: [p for p in m.processes() if p["program"] == "smtpd" and p["state"] == "ready"], "hosts")
                for p in m.processes():
                    os.kill(int(p["pid"]), signal.SIGKILL)
                begun = time.monotonic()
                m.client().close()
                self.assertLess(time.monotonic() - begun, 2)

    def test_takes_its_children_along_when_it_is_killed(self):
        with Master() as m:
            with m.client() as c:
                c.ask("call cleanup")
            pids = [p["pid"] for p in m.processes()]

            m.process.kill()
            m.process.wait()

            wait_for(lambda: not [p for p in pids if alive(p)], "the end of its children")

    def test_never_gives_an_incarnation_twice(self):
        with Master() as m:
            seen = set()
            for _ in range(4):
                with m.client() as c:
                    number = int(fields(c.greeting)["incarnation"])
                    number2 = int(c.ask("call cleanup").split()[3])
                self.assertFalse({number, number2} & seen)
                seen |= set(range(1, max(number, number2) + 1))
                m.process.kill()
                m.process.wait()
                m.start()

    def test_refuses_to_start_without_a_number_it_can_trust(self):
        with Master() as m:
            m.client().close()
            m.stop()
            (m.spool / "pid" / "incarnation").write_text("rubbish\n")
            m.start()

            m.wait_text("pid/incarnation holds no number")

    def test_backs_off_when_a_program_cannot_start(self):
        with Master(master="cleanup unix n - n - 0 cleanup -o smtp_helo_name=trouble") as m, m.client() as c:
            begun = time.monotonic()
            self.assertEqual(c.ask("call cleanup"), "no channel")
            self.assertLess(time.monotonic() - begun, 15)

            self.assertRegex(m.text(), r"smtp_helo_name says trouble: say something else")
            starts = m.text().count("cleanup: bad command startup -- throttling")
            self.assertTrue(2 <= starts <= 8, starts)

    def test_waits_for_processes_of_a_killed_server_to_give_up_the_queue(self):
        with Master() as m:
            m.client().close()
            m.stop()
            with open(m.spool / "pid" / "queue.lock") as held:
                fcntl.flock(held, fcntl.LOCK_EX)
                m.start()
                time.sleep(0.7)
                self.assertIsNone(m.process.poll(), "it waits")
            m.client().close()

    def test_kills_a_host_that_does_not_come_back_to_its_loop(self):
        with Master() as m, m.client() as c:
            pid = fields(c.greeting)["pid"]
            c.file.write(b"spin\r\n")
            c.file.flush()

            m.wait_text(rf"watchdog: service \S+, process {pid} has not come back to its loop", seconds=60)

            wait_for(lambda: not alive(pid), "its end")


class Reload(unittest.TestCase):
    def reload(self, m, generation):
        m.process.send_signal(signal.SIGHUP)
        m.wait_text(f"generation {generation}")

    def test_old_sessions_go_on_and_new_ones_have_the_new_settings(self):
        with Master() as m:
            old = m.client()
            m.configure("myhostname = new.example.test")
            self.reload(m, 2)

            def new_session():
                c = m.client()
                if fields(c.greeting)["generation"] == "2":
                    return c
                c.close()
            new = wait_for(new_session, "a session of the new generation")

            self.assertEqual(new.ask("value myhostname"), "value new.example.test")
            self.assertEqual(old.ask("value myhostname"), "value mail.example.test")
            self.assertTrue(old.ask("call cleanup").startswith("said cleanup"))
            generations = {p["generation"] for p in m.processes() if p["program"] == "smtpd"}
            self.assertEqual(generations, {"1", "2"})
            old.close()
            wait_for(lambda: {p["generation"] for p in m.processes() if p["program"] == "smtpd"} == {"2"},
                     "the end of the old generation")
            new.close()

    def test_brokers_go_on_with_new_settings(self):
        with Master() as m:
            m.client().close()
            before = wait_for(lambda: m.processes("qmgr"), "qmgr")[0]["pid"]
            m.configure("myhostname = new.example.test")
            self.reload(m, 2)

            wait_for(lambda: [(p["pid"], p["generation"]) for p in m.processes("qmgr")] == [(before, "2")],
                     "the same process with the new generation")

    def test_a_wrong_configuration_changes_nothing(self):
        with Master() as m, m.client() as c:
            m.configure("smtpd_timeout = soon")
            m.process.send_signal(signal.SIGHUP)
            m.wait_text("reload failed: the server goes on with the configuration it has")

            self.assertRegex(m.text(), r"main\.cf:7: .*smtpd_timeout")
            self.assertEqual(c.ask("value myhostname"), "value mail.example.test")
            m.client().close()
            self.assertTrue([s for s in m.status() if s["kind"] == "trouble"])

    def test_sockets_come_and_go(self):
        port = free_port()
        with Master(master=f"127.0.0.1:{port} inet n - n - - smtpd") as m:
            m.client().close()
            Client(port).close()
            other = free_port()
            m.configure(master=f"127.0.0.1:{other} inet n - n - - smtpd")
            self.reload(m, 2)

            wait_for(lambda: Client(other).greeting, "the new port")

            def is_gone():
                try:
                    Client(port).close()
                except OSError:
                    return True
            wait_for(is_gone, "the end of the old port")

    def test_no_connection_is_refused_while_it_reloads(self):
        with Master() as m:
            m.client().close()
            for generation in range(2, 6):
                m.process.send_signal(signal.SIGHUP)
                for _ in range(20):
                    with Client(m.port) as c:
                        self.assertTrue(c.greeting.startswith("220"), "a greeting")
                m.wait_text(f"generation {generation}")


class Files(unittest.TestCase):
    def table(self, text="one"):
        m = Master(start=False)
        path = m.dir / "table"
        path.write_text(text + "\n")
        m.configure(f"smtpd_recipient_restrictions = check_sender_access texthash:{path} reject_unauth_destination")
        m.start()
        return m, path

    def test_hands_out_the_files_that_the_configuration_names(self):
        m, path = self.table()
        with m, m.client() as c:
            self.assertEqual(c.ask(f"file {path}"), "file one")
            self.assertTrue(c.ask("file /etc/passwd").startswith("error"), "a file that it does not name")

    def test_hands_out_a_file_anew_when_it_is_replaced(self):
        m, path = self.table()
        with m, m.client() as c:
            fresh = path.with_suffix(".new")
            fresh.write_text("two\n")
            fresh.chmod(0o644)
            fresh.rename(path)

            wait_for(lambda: c.ask(f"file {path}") == "file two", "the new content")

    def test_follows_a_log_that_is_rotated(self):
        with Master(start=False) as m:
            log = m.dir / "log"
            m.configure(f"maillog_file = {log}\nmaillog_file_prefixes = {m.dir}")
            m.start()
            with m.client() as c:
                log.rename(m.dir / "log.1")
                log.touch()
                if os.getuid() == 0:
                    os.chown(log, 65534, 65534)
                time.sleep(0.5)

                c.ask("call qmgr") # is refused, which is logged by both

                wait_for(lambda: "beyond its wall" in log.read_text(), "master's line in the new log")
                wait_for(lambda: "smtpd" in log.read_text(), "the host's line in the new log")


@unittest.skipUnless(os.getuid() == 0, "needs root")
class AsRoot(unittest.TestCase):
    """With the users of the server in an /etc/passwd of its own."""

    def start(self, m):
        m.start_as_root()

    def status_of(self, pid):
        return dict(line.split(":\t", 1) for line in open(f"/proc/{pid}/status").read().splitlines() if ":\t" in line)

    def test_every_process_has_its_user_and_no_capability(self):
        with Master(start=False) as m:
            self.start(m)
            with m.client() as c:
                self.assertTrue(c.ask("call cleanup").startswith("said"), m.text())
                wait_for(lambda: all(p["state"] == "ready" for p in m.processes()), "all have built their walls")
                for p in m.processes():
                    s = self.status_of(p["pid"])
                    with self.subTest(p["program"]):
                        uid = str(7000 + USERS.index(p["program"]))
                        self.assertEqual(s["Uid"].split(), [uid] * 4)
                        self.assertEqual(s["Gid"].split(), [uid] * 4)
                        self.assertEqual(s["Groups"].strip(), "")
                        for caps in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                            self.assertEqual(int(s[caps], 16), 0, caps)
                        self.assertEqual(s["NoNewPrivs"], "1")
                        if "san" not in BUILD.name:
                            self.assertEqual(s["Seccomp"], "2")
                self.assertTrue(c.ask("call cleanup").startswith("said"))
            self.assertEqual(m.stop(), 0, m.text())

    def test_master_itself_keeps_few_capabilities(self):
        with Master(start=False) as m:
            self.start(m)
            m.client().close()
            s = self.status_of(m.process.pid)

            # CHOWN 0, DAC_OVERRIDE 1, FOWNER 3, FSETID 4, KILL 5, SETGID 6, SETUID 7, SETPCAP 8, NET_BIND_SERVICE 10, SYS_RESOURCE 24
            kept = sum(1 << c for c in (0, 1, 3, 4, 5, 6, 7, 8, 10, 24)) & int(self.status_of("self")["CapBnd"], 16)
            for caps in ("CapPrm", "CapEff", "CapBnd"):
                self.assertEqual(int(s[caps], 16), kept, caps)

    def test_the_queue_belongs_to_its_users(self):
        with Master(start=False) as m:
            self.start(m)
            with m.client() as c:
                c.ask("call cleanup")
            uid = {name: 7000 + i for i, name in enumerate(USERS)}
            for path, owner, group, mode in (("pid", 0, 0, 0o755), ("intake", 0, 0, 0o755),
                                             ("intake/0", uid["cleanup"], uid["qmgr"], 0o2770),
                                             ("queue", uid["cleanup"], uid["qmgr"], 0o2770),
                                             ("journal", uid["qmgr"], uid["qmgr"], 0o700),
                                             ("maildrop", uid["pickup"], uid["pickup"], 0o3733)):
                s = os.stat(m.spool / path)
                self.assertEqual((s.st_uid, s.st_gid, s.st_mode & 0o7777), (owner, group, mode), path)

    def test_names_the_command_that_makes_the_users(self):
        with Master(start=False) as m:
            m.spawn(MASTER, "-d", "-c", m.etc, "-x", m.libexec)
            self.assertEqual(m.process.wait(20), 1)
            self.assertRegex(m.text(), r'there is no user "merpati-smtpd" on this system: "merpati check --fix"')


if __name__ == "__main__":
    unittest.main()
