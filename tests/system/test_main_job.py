"""The main job: mail comes in by SMTP, is kept, is delivered, and is read by POP3, byte for byte the same."""
import email.message, email.policy, os, pathlib, poplib, smtplib, subprocess, unittest

from merpati import Server, wait_for

USER, PASSWORD = "alice", "alicepw"
ADDRESS = "alice@example.test"


def message(tag):
    """A message with an attachment of all bytes, dots at line starts and 8-bit text, CRLF line ends."""
    m = email.message.EmailMessage(policy=email.policy.SMTP.clone(cte_type="8bit"))
    m["From"], m["To"], m["Subject"] = "sender@remote.test", ADDRESS, f"main job {tag}"
    m["Message-ID"] = f"<{tag}@remote.test>"
    m["Date"] = "Mon, 02 Nov 2026 10:11:12 +0000"
    m.set_content(".\n..\n...x\nFrom the start\nend \u00e4\n", cte="8bit")
    m.add_attachment(bytes(range(256)) * 200, maintype="application", subtype="octet-stream", filename="all.bin")
    return m.as_bytes()


def run(*command, **kw):
    done = subprocess.run([str(c) for c in command], capture_output=True, timeout=60, **kw)
    if done.returncode != 0:
        raise AssertionError(f"{command[0]}: exit {done.returncode}\n{done.stdout.decode()}{done.stderr.decode()}")
    return done


class MainJob(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.tmp = cls.server.dir / "client"
        cls.tmp.mkdir(exist_ok=True)
        cls.sent = {}
        cls.send_by_curl()
        cls.send_by_swaks()
        wait_for(lambda: len(cls.pop_all()) == 2, "both messages in the mailbox")

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    @classmethod
    def file(cls, tag):
        path = cls.tmp / f"{tag}.eml"
        cls.sent[tag] = message(tag)      # made once: its MIME boundary is drawn by chance
        path.write_bytes(cls.sent[tag])
        return path

    @classmethod
    def send_by_curl(cls):
        run("curl", "-sS", f"smtp://127.0.0.1:{cls.server.smtp_port}/client.test", "--mail-from",
            "sender@remote.test", "--mail-rcpt", ADDRESS, "-T", cls.file("curl"))

    @classmethod
    def send_by_swaks(cls):
        run("swaks", "--server", "127.0.0.1", "--port", cls.server.smtp_port, "--from", "sender@remote.test",
            "--to", ADDRESS, "--data", f"@{cls.file('swaks')}", "--silent", "2")

    @classmethod
    def pop_all(cls):
        p = poplib.POP3("127.0.0.1", cls.server.pop3_port, timeout=20)
        p.user(USER)
        p.pass_(PASSWORD)
        found = [b"\r\n".join(p.retr(i + 1)[1]) + b"\r\n" for i in range(p.stat()[0])]
        p.quit()
        return found

    def check(self, texts):
        """Each text is one that was sent, whole, behind the trace lines that were put on top. A program
        may have kept it with the line ends of Unix."""
        texts = [t.replace(b"\r\n", b"\n").rstrip(b"\n") for t in texts]
        self.assertEqual(len(texts), len(self.sent))
        for tag, sent in self.sent.items():
            sent = sent.replace(b"\r\n", b"\n").rstrip(b"\n")
            tops = [t[:-len(sent)] for t in texts if t.endswith(sent)]
            self.assertEqual(len(tops), 1, f"{tag} came {len(tops)} times unharmed")
            self.assertIn(b"Received: from", tops[0])
            self.assertIn(b"Return-Path: <sender@remote.test>", tops[0])
            self.assertFalse(b"\n\n" in tops[0], "an empty line was put on top")

    def test_poplib(self):
        self.check(self.pop_all())

    def test_curl(self):
        url = f"pop3://127.0.0.1:{self.server.pop3_port}/"
        self.check([run("curl", "-sS", "-u", f"{USER}:{PASSWORD}", f"{url}{i}").stdout for i in (1, 2)])

    def test_fetchmail(self):
        out = self.tmp / "fetchmail"
        out.mkdir()
        rc = self.tmp / "fetchmailrc"
        rc.write_text(f"poll 127.0.0.1 service {self.server.pop3_port} protocol pop3 uidl timeout 20 user \"{USER}\" "
                      f"password \"{PASSWORD}\" sslproto '' mda \"sh -c 'cat > {out}/$$'\" keep no rewrite\n")
        rc.chmod(0o700)
        env = dict(os.environ, HOME=str(self.tmp))
        run("fetchmail", "-f", rc, "-i", self.tmp / "ids", "--pidfile", self.tmp / "pid", "--nodetach", "--nosyslog",
            "--invisible", env=env)
        self.check([f.read_bytes() for f in out.iterdir()])

    def test_getmail(self):
        home, box = self.tmp / "getmail", self.tmp / "getmail-box"
        for d in (home, box / "new", box / "cur", box / "tmp"):
            d.mkdir(parents=True)
        (home / "getmailrc").write_text(
            "[retriever]\ntype = SimplePOP3Retriever\nserver = 127.0.0.1\n"
            f"port = {self.server.pop3_port}\nusername = {USER}\npassword = {PASSWORD}\n"
            "[destination]\ntype = MDA_external\npath = /bin/sh\nallow_root_commands = true\n"
            f"arguments = (\"-c\", \"cat > {box}/new/$$\")\n"
            "[options]\ndelete = false\nverbose = 0\ndelivered_to = false\nreceived = false\n")
        run("getmail", "--getmaildir", home, env=dict(os.environ, HOME=str(self.tmp)))
        self.check([f.read_bytes() for f in (box / "new").iterdir()])

    def test_mpop(self):
        box = self.tmp / "mpop-box"
        for d in ("new", "cur", "tmp"):
            (box / d).mkdir(parents=True)
        run("mpop", "--host=127.0.0.1", f"--port={self.server.pop3_port}", f"--user={USER}",
            f"--passwordeval=echo {PASSWORD}", f"--uidls-file={self.tmp}/mpop-ids", f"--delivery=maildir,{box}",
            "--tls=off", "--file=", "--received-header=off", "--auth=user", "--keep=on",
            env=dict(os.environ, HOME=str(self.tmp)))
        self.check([f.read_bytes() for f in (box / "new").iterdir()])

    def test_a_large_message_comes_through(self):
        body = b"".join(b"line %d of a large message, some words to fill it up\r\n" % i for i in range(60000))
        text = b"Subject: large\r\nFrom: a@b.test\r\nMessage-ID: <large@b.test>\r\nDate: x\r\n\r\n" + body
        with smtplib.SMTP("127.0.0.1", self.server.smtp_port, timeout=30) as s:
            s.sendmail("a@b.test", ["bob@example.test"], text)
        p = poplib.POP3("127.0.0.1", self.server.pop3_port, timeout=20)
        def one():
            q = poplib.POP3("127.0.0.1", self.server.pop3_port, timeout=20)
            q.user("bob")
            q.pass_("bobpw")
            n = q.stat()[0]
            got = b"\r\n".join(q.retr(1)[1]) + b"\r\n" if n else None
            q.quit()
            return got
        p.quit()
        self.assertTrue(wait_for(one, "the large message").endswith(text))


if __name__ == "__main__":
    unittest.main()
