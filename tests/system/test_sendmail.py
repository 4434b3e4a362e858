"""sendmail and pickup in the whole server: both ways in, what each refuses, and hostile files in maildrop/."""
import os, pwd, socket, struct, subprocess, unittest

from merpati import BUILD, PATIENCE, Server, wait_for

SENDMAIL = BUILD / "bin" / "sendmail"
ROOT = os.getuid() == 0
TEXT = b"Subject: hello\n\nHello.\n"


def sendmail(s, *arguments, text=TEXT, **kw):
    """The finished process; its stderr is bytes."""
    return subprocess.run([SENDMAIL, "-C", s.instance / "etc", *arguments], input=text, capture_output=True,
                          timeout=PATIENCE * 5, **kw)


def messages(s, count):
    """The texts in alice's mailbox, when there are as many."""
    new = s.instance / "mail" / "example.test" / "alice" / "new"
    found = wait_for(lambda: len(list(new.glob("*"))) >= count and sorted(new.glob("*")), f"{count} messages\n{s.log()}")
    assert len(found) == count, found
    return [f.read_bytes() for f in found]


def maildrop(s):
    return s.instance / "spool" / "maildrop"


def put_raw(s, name, octets, uid=None):
    path = maildrop(s) / name
    path.write_bytes(octets)
    path.chmod(0o644)
    if uid is not None:
        os.chown(path, uid, -1)
    return path


def field(tag, value):
    value = struct.pack("<Q", value) if isinstance(value, int) else value
    return bytes([tag]) + struct.pack("<I", len(value)) + value


def submission(text=TEXT, sender=b"me@example.test", recipients=(b"alice@example.test",)):
    """A submission file, as lib/queue/drop.h says."""
    envelope = field(1, sender) + b"".join(field(2, field(1, r)) for r in recipients) + field(3, 1)
    return b"MrpDrop1" + struct.pack("<IIQQ", len(envelope), 0, len(text), 0) + envelope + text


class ServerUp(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server()
        cls.s.stop()
        with open(cls.s.instance / "etc" / "main.cf", "a") as cf:
            cf.write("message_size_limit = 120000000\n")
        cls.s.start()

    @classmethod
    def tearDownClass(cls):
        cls.s.close()

    def setUp(self):
        for box in (self.s.instance / "mail").rglob("new/*"):
            box.unlink()

    def test_message_is_stored_when_sendmail_ends(self):
        done = sendmail(self.s, "-v", "-f", "me@example.test", "alice@example.test")

        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, rb"queued as [0-9A-Za-z]{15,}")
        text, = messages(self.s, 1)
        id = done.stderr.split()[-1].decode()
        self.assertRegex(text.decode(), rf"\nReceived: by \S+ \(Merpati, from userid {os.getuid()}\)\n\tid {id}; ")
        self.assertIn(b"\nReturn-Path: <me@example.test>\n", b"\n" + text)
        self.assertTrue(text.endswith(b"\n\nHello.\n"), text)
        self.assertIn(f"{id}: uid={os.getuid()} from=<me@example.test>", self.s.log())

    def test_sender_is_the_user_by_the_kernels_word(self):
        done = sendmail(self.s, "alice@example.test", env={**os.environ, "USER": "mallory", "LOGNAME": "mallory"})

        self.assertEqual(done.returncode, 0, done.stderr)
        text, = messages(self.s, 1)
        name = pwd.getpwuid(os.getuid()).pw_name
        self.assertIn(f"Return-Path: <{name}@example.test>".encode(), text)

    def test_recipients_come_from_the_header(self):
        done = sendmail(self.s, "-t", text=b"To: Alice <alice@example.test>\nBcc: bob@example.test\n" + TEXT)

        self.assertEqual(done.returncode, 0, done.stderr)
        text, = messages(self.s, 1)
        self.assertNotIn(b"Bcc", text)
        wait_for(lambda: list((self.s.instance / "mail/example.test/bob/new").glob("*")), "the blind copy")

    def test_exit_status_tells_of_a_refusal(self):
        self.assertEqual(sendmail(self.s, "-t").returncode, 65, "no recipient in the header")
        self.assertEqual(sendmail(self.s).returncode, 64, "none on the command line")
        self.assertEqual(sendmail(self.s, "-t", "alice@example.test").returncode, 64)
        self.assertEqual(sendmail(self.s, "alice@example.test", text=b"x\n" * 60000001).returncode, 69)
        hops = b"".join(b"Received: by a; now\n" for _ in range(60))
        self.assertEqual(sendmail(self.s, "alice@example.test", text=hops + TEXT).returncode, 69)
        self.assertEqual(list((self.s.instance / "mail").rglob("alice/new/*")), [])

    def test_a_hundred_megabytes_go_through(self):
        line = b"0123456789" * 7 + b"\n"
        done = sendmail(self.s, "-i", "alice@example.test", text=TEXT + line * 1408451)

        self.assertEqual(done.returncode, 0, done.stderr)
        text, = messages(self.s, 1)
        self.assertTrue(text.endswith(b"Hello.\n" + line * 1408451))

    def test_many_at_a_time(self):
        running = [subprocess.Popen([SENDMAIL, "-C", self.s.instance / "etc", "alice@example.test"],
                                    stdin=subprocess.PIPE) for _ in range(60)]
        for n, p in enumerate(running):
            p.stdin.write(b"Subject: %d\n\n" % n)
            p.stdin.close()
        self.assertEqual([p.wait(PATIENCE) for p in running], [0] * 60)
        subjects = {t.split(b"Subject: ")[1].split(b"\n")[0] for t in messages(self.s, 60)}
        self.assertEqual(len(subjects), 60)

    def test_smtp_on_standard_input(self):
        done = sendmail(self.s, "-bs", text=b"EHLO x\r\nMAIL FROM:<me@example.test>\r\nRCPT TO:<alice@example.test>\r\n"
                        b"DATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\nQUIT\r\n")

        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(b"\r\n250 2.0.0 Ok: queued as ", done.stdout)
        self.assertTrue(messages(self.s, 1)[0].endswith(b"\n\n.dot\n"))

    def test_without_new_privileges(self):
        done = subprocess.run(["setpriv", "--no-new-privs", SENDMAIL, "-C", self.s.instance / "etc",
                               "alice@example.test"], input=TEXT, capture_output=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 0, done.stderr)
        messages(self.s, 1)

    def test_with_closed_standard_descriptors(self):
        done = subprocess.run(["sh", "-c", '"$0" -C "$1" alice@example.test <&- >&- 2>&-', SENDMAIL,
                               self.s.instance / "etc"], timeout=PATIENCE)
        self.assertEqual(done.returncode, 0)
        messages(self.s, 1)

    def test_nonsense_on_the_socket_harms_nobody(self):
        path = str(self.s.instance / "spool" / "public" / "pickup")
        quiet = []
        for octets in (b"", b"GET / HTTP/1.0\r\n\r\n", b"\xff" * 5000, struct.pack("<IHBBQ", 0, 0x0b04, 0, 0, 1),
                       struct.pack("<IHBBQ", 1 << 30, 0x0b04, 0, 1, 1)):
            c = socket.socket(socket.AF_UNIX)
            c.connect(path)
            c.sendall(octets)
            quiet.append(c)
        # A descriptor that is no sealed memory, but a pipe that never says anything.
        end, other = os.pipe()
        c = socket.socket(socket.AF_UNIX)
        c.connect(path)
        socket.send_fds(c, [struct.pack("<IHBBQ", 0, 0x0b04, 0, 1, 1)], [end])
        answer = b""
        c.settimeout(PATIENCE)
        while b"5.6.0" not in answer:
            more = c.recv(4096)
            self.assertTrue(more, answer)
            answer += more
        os.close(end), os.close(other)

        self.assertEqual(sendmail(self.s, "alice@example.test").returncode, 0)
        messages(self.s, 1)
        for c in quiet:
            c.close()

    def test_one_user_cannot_take_all_connections(self):
        path = str(self.s.instance / "spool" / "public" / "pickup")
        held = []
        for _ in range(120):
            c = socket.socket(socket.AF_UNIX)
            c.connect(path)
            held.append(c)
        # This user's connections are used up: the message goes to maildrop, and is not lost.
        done = sendmail(self.s, "-v", "alice@example.test")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(b"left in maildrop", done.stderr)
        for c in held:
            c.close()
        self.assertEqual(len(os.listdir(maildrop(self.s))), 1)
        for name in os.listdir(maildrop(self.s)):
            (maildrop(self.s) / name).unlink()


class ServerDown(unittest.TestCase):
    def test_message_waits_in_maildrop(self):
        with Server() as s:
            s.stop()
            for n in range(3):
                done = sendmail(s, "-v", "-f", "me@example.test", "alice@example.test", text=b"Subject: %d\n\n" % n)
                self.assertEqual(done.returncode, 0, done.stderr)
            names = os.listdir(maildrop(s))
            self.assertEqual(len(names), 3)
            self.assertTrue(all(len(n) == 32 for n in names))
            s.start()

            self.assertEqual(len(messages(s, 3)), 3)
            wait_for(lambda: not os.listdir(maildrop(s)), "an empty maildrop")

    def test_no_maildrop_means_try_again(self):
        with Server() as s:
            s.stop()
            maildrop(s).rmdir()
            done = sendmail(s, "alice@example.test")
            self.assertEqual(done.returncode, 75)
            self.assertIn(b"maildrop", done.stderr)
            (s.instance / "etc" / "main.cf").unlink()
            self.assertEqual(sendmail(s, "alice@example.test").returncode, 75)

    def test_refused_mail_comes_back_to_its_sender(self):
        with Server() as s:
            s.stop()
            done = sendmail(s, "-t", "-f", "alice@example.test", text=TEXT)
            self.assertEqual(done.returncode, 0, "nobody could tell then")
            s.start()

            text, = messages(s, 1)
            self.assertIn(b"no recipients", text)
            self.assertIn(b"Return-Path: <>\n", text)
            wait_for(lambda: not os.listdir(maildrop(s)), "an empty maildrop")

    def test_hostile_files_are_left_alone_and_told_once(self):
        with Server() as s:
            s.stop()
            secret = s.dir / "secret"
            secret.write_bytes(submission(b"Subject: secret\n\n"))
            secret.chmod(0o644)
            drop = maildrop(s)
            os.symlink(secret, drop / "link")
            if secret.stat().st_dev == drop.stat().st_dev:
                os.link(secret, drop / "twin")
            os.mkfifo(drop / "fifo", 0o666)
            (drop / "directory").mkdir()
            os.symlink("/dev/zero", drop / "device")
            put_raw(s, "empty", b"")
            put_raw(s, "half", submission()[:-3])
            put_raw(s, "zeros", bytes(5000))
            put_raw(s, "long", submission() + b"x")
            put_raw(s, "plain", b"root:x:0:0:root:/root:/bin/sh\n" * 10)
            put_raw(s, "newline", submission(sender=b"me\nBcc: x"))
            put_raw(s, "huge", b"MrpDrop1" + struct.pack("<IIQQ", 1 << 31, 0, 1 << 62, 0) + bytes(100))
            put_raw(s, ".hidden", submission())
            before = set(os.listdir(drop))
            put_raw(s, "good", submission())
            s.start()

            text, = messages(s, 1)
            self.assertNotIn(b"secret", text)
            wait_for(lambda: not (drop / "good").exists(), "the good one gone")
            self.assertEqual(set(os.listdir(drop)), before)
            for name in before - {".hidden"}:
                self.assertEqual(s.log().count(f"maildrop/{name} "), 1, f"{name}\n{s.log()}")

    @unittest.skipUnless(ROOT, "only root can make files of others")
    def test_owner_is_who_submits(self):
        with Server() as s:
            s.stop()
            put_raw(s, "a", submission(), uid=4711)
            s.start()

            text, = messages(s, 1)
            self.assertIn(b"(Merpati, from userid 4711)", text)

    @unittest.skipUnless(ROOT, "only root can become others")
    def test_maildrop_cannot_be_listed_by_others(self):
        with Server() as s:
            s.stop()
            listed = subprocess.run(["ls", maildrop(s)], user=4711, group=4711, extra_groups=[], capture_output=True)
            self.assertNotEqual(listed.returncode, 0)
            done = subprocess.run([SENDMAIL, "-C", s.instance / "etc", "alice@example.test"], input=TEXT, user=4711,
                                  group=4711, extra_groups=[], capture_output=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            path, = maildrop(s).glob("*")
            read = subprocess.run(["cat", path], user=4712, group=4712, extra_groups=[], capture_output=True)
            self.assertNotEqual(read.returncode, 0, "even by its name another cannot read it")
            removed = subprocess.run(["rm", "-f", path], user=4712, group=4712, extra_groups=[], capture_output=True)
            self.assertNotEqual(removed.returncode, 0)
            s.start()
            messages(s, 1)


class Policy(unittest.TestCase):
    def test_users_who_may_not_submit(self):
        with Server("-o", "authorized_submit_users=!static:anyone") as s:
            done = sendmail(s, "alice@example.test")
            self.assertEqual(done.returncode, 77, done.stderr)
            self.assertIn(b"is not allowed to submit mail", done.stderr)

    def test_senders_that_a_user_may_not_use(self):
        with Server("-o", "local_login_sender_maps=static:me@example.test") as s:
            self.assertEqual(sendmail(s, "-f", "you@example.test", "alice@example.test").returncode, 77)
            self.assertEqual(sendmail(s, "-f", "me@example.test", "alice@example.test").returncode, 0)
            self.assertEqual(sendmail(s, "alice@example.test").returncode, 0)
            messages(s, 2)


if __name__ == "__main__":
    unittest.main()
