"""The command merpati, with stand-ins for the programs that master starts."""
import crypt, os, pathlib, re, shutil, signal, subprocess, tempfile, time, unittest, warnings

from merpati import BUILD, Client, Server, StandIns, link_or_copy, wait_for

warnings.simplefilter("ignore", DeprecationWarning)


class Checkout:
    """bin/ and libexec/ as after a build, with stand-ins in libexec."""

    def __init__(self, mode=0o755):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="merpati-tree."))
        StandIns.install(self.dir / "libexec")
        (self.dir / "bin").mkdir()
        link_or_copy(BUILD / "libexec" / "master", self.dir / "libexec" / "master")
        for name in ("merpati", "postmap"):
            link_or_copy(BUILD / "bin" / name, self.dir / "bin" / name)
        for name in ("postalias", "newaliases"):
            (self.dir / "bin" / name).symlink_to("postmap")
        self.dir.chmod(mode)
        self.program = self.dir / "bin" / "merpati"

    def run(self, *arguments, **kw):
        return subprocess.run([str(a) for a in (self.program, *arguments)], capture_output=True, text=True, timeout=60, **kw)


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.checkout = Checkout()

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.checkout.dir, ignore_errors=True)

    def server(self, *options, **kw):
        return Server(*options, program=self.checkout.program, **kw)


class Run(Case):
    def test_says_ready_when_both_ports_answer(self):
        with self.server() as s:
            with Client(s.smtp_port) as c:
                self.assertTrue(c.greeting.startswith("220"))
            with Client(s.pop3_port) as c:
                self.assertTrue(c.greeting.startswith("+OK"))
            self.assertIn(f"127.0.0.1:{s.smtp_port}", s.text())
            self.assertIn("curl", s.text())

    def test_ends_cleanly(self):
        for signo in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signo), self.server() as s:
                self.assertEqual(s.stop(signo), 0, s.text())

                with self.assertRaises(OSError):
                    Client(s.smtp_port)

    def test_makes_two_demo_accounts_where_none_is_named(self):
        with self.server(users=(), domain=None) as s:
            self.assertIn("account  alice@example.test, password alicepw", s.text())
            lines = dict(l.split(":", 1) for l in (s.instance / "etc" / "passwd").read_text().splitlines())
            self.assertEqual(set(lines), {"alice@example.test", "bob@example.test"})
            self.assertEqual(crypt.crypt("bobpw", lines["bob@example.test"]), lines["bob@example.test"])
            self.assertTrue(lines["bob@example.test"].startswith("$y$"))
            self.assertEqual((s.instance / "etc" / "passwd").stat().st_mode & 0o777, 0o600)

    def test_keeps_accounts_and_adds_to_them(self):
        with self.server(users=("carol:one",)) as s:
            s.stop()
            first = (s.instance / "etc" / "passwd").read_text()
            s.options = ["--user", "dave:two"]
            s.start()

            second = (s.instance / "etc" / "passwd").read_text()

            self.assertTrue(second.startswith(first))
            self.assertIn("dave@example.test:", second)
            self.assertIn("dave@example.test", (s.instance / "etc" / "mailboxes").read_text())

    def test_leaves_an_edited_main_cf_alone(self):
        with self.server() as s:
            s.stop()
            main = s.instance / "etc" / "main.cf"
            main.write_text(main.read_text() + "smtp_helo_name = mine\n")
            s.options = []
            s.start()
            with Client(s.smtp_port) as c:
                self.assertEqual(c.ask("value smtp_helo_name"), "value mine")

    def test_overrides_a_parameter_for_one_run(self):
        with self.server("-o", "smtp_helo_name = now") as s, Client(s.smtp_port) as c:
            self.assertEqual(c.ask("value smtp_helo_name"), "value now")
            self.assertNotIn("smtp_helo_name", (s.instance / "etc" / "main.cf").read_text())

    def test_moves_to_other_ports(self):
        from merpati import free_offset
        with self.server() as s:
            s.stop()
            s.offset = free_offset()
            s.start()
            Client(25 + s.offset).close()
            Client(110 + s.offset).close()

    def test_runs_with_an_edited_master_cf_and_does_not_move_its_ports(self):
        with self.server() as s:
            s.stop()
            master = s.instance / "etc" / "master.cf"
            master.write_text(master.read_text() + "maildrop unix - n n - - pipe argv=/bin/true\n")
            s.start()
            s.stop()

            done = self.checkout.run("run", "--dir", s.instance, "--port-offset", s.offset + 1)

            self.assertEqual(done.returncode, 1)
            self.assertIn("was edited: change the ports there", done.stderr)
            self.assertIn("maildrop", master.read_text())

    def test_names_a_wrong_parameter_and_ends(self):
        with self.server("-o", "smtpd_timeout=soon", start=False) as s:
            done = self.checkout.run("run", "--dir", s.instance, "--port-offset", s.offset, "-o", "smtpd_timeout=soon")

            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, r"-o: .*smtpd_timeout")
            self.assertNotIn("ready", done.stdout)

    def test_refuses_well_known_passwords_on_the_network(self):
        with self.server(start=False) as s:
            done = self.checkout.run("run", "--dir", s.instance, "--port-offset", s.offset, "--listen", "0.0.0.0")

            self.assertEqual(done.returncode, 1)
            self.assertIn("--user NAME:PASSWORD", done.stderr)

    def test_refuses_names_that_cannot_be_accounts(self):
        for user in ("a b:pw", "../x:pw", "nopassword", "a@b@c:pw", ".hidden:pw"):
            with self.subTest(user), self.server(start=False) as s:
                done = self.checkout.run("run", "--dir", s.instance, "--port-offset", s.offset, "--user", user)
                self.assertEqual(done.returncode, 1)

    def test_refuses_another_domain_for_an_instance(self):
        with self.server() as s:
            s.stop()
            done = self.checkout.run("run", "--dir", s.instance, "--domain", "other.test")

            self.assertEqual(done.returncode, 1)
            self.assertIn("is an instance for the domain example.test", done.stderr)

    @unittest.skipUnless(os.getuid() == 0, "needs root")
    def test_started_by_root_it_runs_as_nobody_from_a_closed_checkout(self):
        closed = Checkout(mode=0o700)
        try:
            with Server(program=closed.program) as s:
                self.assertIn("Started by root, the server runs as user 65534", s.text())
                pids = [p for p in os.listdir("/proc") if p.isdigit() and closed.dir.name in exe_of(p)]
                self.assertGreater(len(pids), 3)
                for pid in pids:
                    uids = re.search(r"Uid:\t(.*)", open(f"/proc/{pid}/status").read()).group(1).split()
                    self.assertEqual(uids, ["65534"] * 4, exe_of(pid))
                self.assertEqual(s.stop(), 0, s.text())
        finally:
            shutil.rmtree(closed.dir)


def exe_of(pid):
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


class Control(Case):
    def test_starts_stops_reloads_and_shows_a_server(self):
        with self.server() as s:
            s.stop()
            etc = s.instance / "etc"
            user = {"user": 65534, "group": 65534, "extra_groups": []} if os.getuid() == 0 else {}
            self.assertEqual(self.checkout.run("status", "-c", etc, **user).returncode, 1)

            started = self.checkout.run("start", "-c", etc, **user)
            self.assertEqual(started.returncode, 0, started.stderr)
            try:
                wait_for(lambda: greets(s.smtp_port), "a greeting")
                again = self.checkout.run("start", "-c", etc, **user)
                self.assertEqual(again.returncode, 1)
                self.assertIn("the server is running already", again.stderr)

                status = self.checkout.run("status", "-c", etc, **user)
                self.assertEqual(status.returncode, 0, status.stderr)
                self.assertRegex(status.stdout, rf"listening\s+inet:\[127\.0\.0\.1\]:{s.smtp_port}")
                self.assertRegex(status.stdout, r"process\s+\d+\s+\d+\s+smtpd")
                self.assertRegex(status.stdout, r"generation 1\)")

                self.assertEqual(self.checkout.run("reload", "-c", etc, **user).returncode, 0)
                self.assertRegex(self.checkout.run("status", "-c", etc, **user).stdout, r"generation 2\)")

                main = etc / "main.cf"
                good = main.read_text()
                main.write_text(good + "smtpd_timeout = soon\n")
                bad = self.checkout.run("reload", "-c", etc, **user)
                self.assertEqual(bad.returncode, 1)
                self.assertRegex(bad.stderr, r"main\.cf:\d+: .*smtpd_timeout")
                main.write_text(good)
            finally:
                stopped = self.checkout.run("stop", "-c", etc, **user)
            self.assertEqual(stopped.returncode, 0, stopped.stderr)
            self.assertEqual(self.checkout.run("stop", "-c", etc, **user).returncode, 1)

    def test_check_finds_what_others_can_write(self):
        with self.server() as s:
            s.stop()
            etc = s.instance / "etc"
            user = {"user": 65534, "group": 65534, "extra_groups": []} if os.getuid() == 0 else {}
            self.assertEqual(self.checkout.run("check", "-c", etc, **user).returncode, 0)
            (etc / "main.cf").chmod(0o666)

            found = self.checkout.run("check", "-c", etc, **user)
            mended = self.checkout.run("check", "--fix", "-c", etc, **user)

            self.assertEqual(found.returncode, 1)
            self.assertIn("main.cf can be written by others", found.stderr)
            self.assertEqual(mended.returncode, 0, mended.stderr)
            self.assertEqual((etc / "main.cf").stat().st_mode & 0o777, 0o644)

    def test_names_itself_and_its_commands(self):
        self.assertEqual(self.checkout.run("--help").returncode, 0)
        self.assertEqual(self.checkout.run("run", "--help").returncode, 0)
        self.assertEqual(self.checkout.run("dance").returncode, 1)


def greets(port):
    try:
        with Client(port) as c:
            return c.greeting
    except OSError:
        return None


if __name__ == "__main__":
    unittest.main()
