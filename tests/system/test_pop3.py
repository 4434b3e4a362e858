"""POP3 from the greeting to the Maildir: pop3d, auth, deliver and pop3box together."""
import base64, crypt, os, poplib, re, shutil, signal, time, unittest, warnings

from merpati import Client, Server, wait_for

warnings.simplefilter("ignore", DeprecationWarning)

TEXT = "From: a@b.test\nSubject: number {n}\n\n.dot\n..two\n.\n{padding}end\n"


class Case(unittest.TestCase):
    OPTIONS = ("-o", "pop3d_auth_delay=0s")

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.OPTIONS, users=("alice:alicepw", "bob:bobpw", "carol:carolpw"))

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        cls.server.close()

    def setUp(self):
        self.box = self.server.instance / "mail" / "example.test" / "alice"
        self.empty()

    def empty(self):
        """Alice's Maildir without mail."""
        with self.login() as p:
            for i in range(1, p.stat()[0] + 1):
                p.dele(i)

    def login(self, user="alice", password="alicepw"):
        p = self.server.pop3(user, password)
        return Session(p)

    def client(self):
        return Client(self.server.pop3_port)

    def put(self, name, text, part="new"):
        """A message of another program's making."""
        path = self.box / "tmp" / name.split(":")[0]
        path.write_text(text)
        stat = self.box.stat()
        os.chown(path, stat.st_uid, stat.st_gid)
        path.rename(self.box / part / name)

    def fill(self, count):
        for n in range(count):
            self.put(f"{1000 + n}.x{n}.host", TEXT.format(n=n, padding="padding\n" * 1000 * n))

    def messages(self):
        return sorted(f.name for part in ("new", "cur") for f in (self.box / part).iterdir())

    def log(self, pattern, count=1):
        return wait_for(lambda: len(re.findall(pattern, self.server.log())) >= count, f"log line {pattern}")


class Session:
    """poplib's session, ended by QUIT."""

    def __init__(self, p):
        self.p = p

    def __enter__(self):
        return self.p

    def __exit__(self, kind, *_):
        if kind is None:
            self.p.quit()
        else:
            self.p.close()


class Dialogue(Case):
    def test_serves_poplib(self):
        self.fill(3)
        with self.login() as p:
            self.assertTrue({"UIDL", "TOP", "USER", "SASL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE"} <= set(p.capa()))
            count, size = p.stat()
            self.assertEqual(count, 3)
            sizes = [int(x.split()[1]) for x in p.list()[1]]
            self.assertEqual(sum(sizes), size)
            for i in range(3):
                lines = p.retr(i + 1)[1]
                body = lines[lines.index(b"") + 1:]
                self.assertEqual(body[:3], [b".dot", b"..two", b"."])
                self.assertEqual(body[-1], b"end")
                self.assertEqual(sum(len(x) + 2 for x in lines), sizes[i])
            self.assertEqual(p.top(2, 1)[1][-1], b".dot")
            self.assertEqual(len(set(p.uidl()[1])), 3)

    def test_takes_pipelined_commands_from_login_to_quit(self):
        for login in ("USER alice\r\nPASS alicepw", "AUTH PLAIN\r\n" + plain("alice", "alicepw"),
                      "AUTH PLAIN " + plain("alice", "alicepw"),
                      "AUTH LOGIN\r\n" + base64_of("alice") + "\r\n" + base64_of("alicepw")):
            with self.subTest(login), self.client() as c:
                c.file.write((login + "\r\nSTAT\r\nNOOP\r\nQUIT\r\n").encode())
                c.file.flush()

                heard = c.file.read().decode().splitlines()

                self.assertEqual([line[:3] for line in heard[-4:]], ["+OK"] * 4, heard)
                self.assertNotIn("-ERR", "".join(heard))

    def test_deletes_at_quit_only(self):
        self.fill(3)
        p = self.server.pop3()
        p.dele(1)
        p.close()
        self.log(r"pop3box.* del=0/3.*reason=connection closed")
        self.assertEqual(len(self.messages()), 3)
        with self.login() as p:
            p.dele(1)
            p.dele(3)
            p.rset()
            p.dele(2)
        self.assertEqual([m.split(".")[0] for m in self.messages()], ["1000", "1002"])

    def test_keeps_unique_ids(self):
        self.fill(3)
        with self.login() as p:
            before = p.uidl()[1]
            p.retr(2)
        self.assertIn("1001.x1.host:2,S", self.messages())
        (self.box / "cur" / "1001.x1.host:2,S").rename(self.box / "cur" / "1001.x1.host:2,RS")
        with self.login() as p:
            self.assertEqual(p.uidl()[1], before)

    def test_is_not_disturbed_by_what_arrives_or_goes(self):
        self.fill(2)
        with self.login() as p:
            self.put("5000.late.host", "Subject: late\n\nx\n")
            (self.box / "new" / "1000.x0.host").unlink()
            self.assertEqual(p.stat()[0], 2)
            self.assertIn(b"Subject: number 1", p.retr(2)[1])
            with self.assertRaises(poplib.error_proto):
                p.retr(1)
        with self.login() as p:
            self.assertEqual(p.stat()[0], 2)


class Logins(Case):
    def test_answers_unknown_users_and_wrong_passwords_alike(self):
        answers = set()
        for user, password in (("alice", "wrong"), ("nobody", "alicepw"), ("alice@elsewhere.test", "alicepw")):
            with self.client() as c:
                c.ask(f"USER {user}")
                answers.add(c.ask(f"PASS {password}"))
        self.assertEqual(answers, {"-ERR [AUTH] Authentication failed"})
        self.log(r"warning: unknown\[127\.0\.0\.1\]: SASL PLAIN authentication failed: .*user=<nobody>, method=USER, rip=127\.0\.0\.1")

    def test_never_logs_a_password(self):
        with self.client() as c:
            c.ask("USER alice")
            c.ask("PASS a-secret-that-is-wrong")
        self.log("authentication failed")
        self.assertNotIn("a-secret-that-is-wrong", self.server.log() + self.server.text())

    def test_takes_names_in_any_case_and_with_domain(self):
        for user in ("alice", "ALICE", "alice@example.test", "Alice@Example.Test"):
            with self.subTest(user), self.login(user) as p:
                self.assertEqual(p.stat()[0], 0)

    def test_lets_one_session_in_at_a_time(self):
        with self.login() as p:
            with self.client() as c:
                c.ask("USER alice")
                self.assertTrue(c.ask("PASS alicepw").startswith("-ERR [IN-USE]"))
            self.assertTrue(p.noop().startswith(b"+OK"))
        with self.login() as p:
            self.assertTrue(p.noop().startswith(b"+OK"))

    def test_ends_after_three_failed_logins(self):
        with self.client() as c:
            for _ in range(3):
                c.ask("USER alice")
                self.assertEqual(c.ask("PASS x"), "-ERR [AUTH] Authentication failed")
            self.assertEqual(c.read(), "")

    def test_notices_a_new_password_file(self):
        path = self.server.instance / "etc" / "passwd"
        text = path.read_text()
        stat = path.stat()
        new = path.with_name("passwd.new")
        new.write_text(text + "carol2@example.test:" + crypt.crypt("newpw", crypt.METHOD_SHA512) + ":" +
                       f"{stat.st_uid}:{stat.st_gid}::{self.server.instance}/mail/carol2:\n")
        os.chown(new, stat.st_uid, stat.st_gid)
        new.chmod(0o600)
        new.rename(path)

        def answer():
            with self.client() as c:
                c.ask("USER carol2")
                return not c.ask("PASS newpw").startswith("-ERR [AUTH]")
        wait_for(answer, "a login with what is new in the password file")

    def test_serves_many_at_a_time(self):
        clients = [self.client() for _ in range(40)]
        for i, c in enumerate(clients):
            c.file.write(f"USER {('bob', 'carol')[i % 2]}\r\nPASS {('bobpw', 'carolpw')[i % 2]}\r\nQUIT\r\n".encode())
            c.file.flush()
        for c in clients:
            heard = c.file.read().decode()
            self.assertTrue("+OK Logged in" in heard or "-ERR [IN-USE]" in heard, heard)
            c.close()


class Delay(Case):
    OPTIONS = ("-o", "pop3d_auth_delay=2s")

    def test_holds_failed_logins_back_and_nobody_else(self):
        with self.client() as slow, self.client() as quick:
            slow.ask("USER alice")
            start = time.monotonic()
            slow.file.write(b"PASS wrong\r\n")
            slow.file.flush()
            self.assertTrue(quick.ask("CAPA").startswith("+OK"))
            self.assertLess(time.monotonic() - start, 1.5)
            self.assertTrue(slow.read().startswith("-ERR [AUTH]"))
            self.assertGreaterEqual(time.monotonic() - start, 2)


class Crashes(Case):
    def kill(self, program):
        """Kills the processes of the program that descend from our server."""
        pids = [pid for pid in descendants(self.server.process.pid) if name_of(pid) == program]
        self.assertTrue(pids, f"no {program} runs")
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    def test_a_killed_session_deletes_nothing(self):
        self.fill(2)
        p = self.server.pop3()
        p.dele(1)
        self.kill("pop3box")
        with self.assertRaises((poplib.error_proto, OSError)):
            p.quit()
        self.assertEqual(len(self.messages()), 2)
        with self.login() as p:
            self.assertEqual(p.stat()[0], 2)

    def test_logins_go_on_after_auth_and_deliver_were_killed(self):
        for program in ("auth", "deliver", "pop3d"):
            with self.subTest(program):
                self.kill(program)

                def works():
                    try:
                        with self.client() as c:
                            c.ask("USER alice")
                            good = c.ask("PASS alicepw").startswith("+OK")
                            c.ask("QUIT")
                            return good
                    except OSError:
                        return False
                wait_for(works, f"a login after {program} was killed")


class Stop(Case):
    def test_sessions_end_with_the_server_and_delete_nothing(self):
        self.fill(2)
        p = self.server.pop3()
        p.dele(1)
        session = [pid for pid in descendants(self.server.process.pid) if name_of(pid) == "pop3box"]
        self.assertEqual(self.server.stop(), 0)
        wait_for(lambda: not any(name_of(pid) == "pop3box" for pid in session), "the end of the session")
        with self.assertRaises((poplib.error_proto, OSError)):
            p.quit()
        self.assertEqual(len(self.messages()), 2)

    @classmethod
    def tearDownClass(cls):
        cls.server.close()


class Large(Case):
    def test_opens_20000_messages_in_a_moment(self):
        stat = self.box.stat()
        for i in range(20000):
            path = self.box / "cur" / f"{2000 + i}.y.host,S=16,W=20:2,S"
            path.write_text("Subject: x\n\nabc\n")
            os.chown(path, stat.st_uid, stat.st_gid)
        start = time.monotonic()
        with self.login() as p:
            took = time.monotonic() - start
            self.assertEqual(p.stat(), (20000, 400000))
            self.assertEqual(len(p.uidl()[1]), 20000)
            self.assertEqual(p.list(20000).split()[2], b"20")
            for part in ("cur", "new"):
                shutil.rmtree(self.box / part)
                (self.box / part).mkdir(mode=0o700)
                os.chown(self.box / part, stat.st_uid, stat.st_gid)
        self.assertLess(took, 5)


class Delivery(Case):
    def test_a_message_that_came_by_smtp_can_be_fetched(self):
        with self.server.smtp() as s:
            s.sendmail("a@b.test", ["alice@example.test"], "Subject: by SMTP\r\n\r\n.dot\r\nend\r\n")

        def arrived():
            with self.login() as p:
                return p.stat()[0] == 1 and p.retr(1)[1]
        lines = wait_for(arrived, "the message")
        self.assertIn(b"Return-Path: <a@b.test>", lines)
        self.assertEqual(lines[-2:], [b".dot", b"end"])
        self.assertRegex(self.messages()[0], r"^\d+\.[^,]+,S=\d+,W=\d+:2,S$")


def descendants(pid):
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as f:
                    parents.setdefault(int(f.read().rsplit(")", 1)[1].split()[1]), []).append(int(entry))
            except OSError:
                pass
    found, new = [], [pid]
    while new:
        new = [child for one in new for child in parents.get(one, [])]
        found += new
    return found


def name_of(pid):
    try:
        with open(f"/proc/{pid}/comm") as f:
            return f.read().strip()
    except OSError:
        return ""


def base64_of(text):
    return base64.b64encode(text.encode()).decode()


def plain(user, password):
    return base64_of(f"\0{user}\0{password}")
