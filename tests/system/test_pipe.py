"""Delivery to the commands of pipe services, as the user that master.cf gives them."""
import grp, os, re, smtplib, unittest

from merpati import BUILD, Master, PATIENCE

DAVE = 7104
MAIN = """
mydestination = $myhostname
alias_maps =
local_recipient_maps =
recipient_delimiter = +
relay_domains = record.test, plain.test, fails.test, root.test, nouser.test, slow.test
transport_maps = inline:{ record.test=record:hop.test plain.test=plain: fails.test=fails: root.test=asroot: nouser.test=nouser: slow.test=slow: }
slow_time_limit = 1s
record_destination_recipient_limit = 1
"""
SERVICES = """
record unix - n n - - pipe flags=DORhu.> user=dave argv={dir}/record -f ${{sender}} -- ${{recipient}} ${{user}} ${{extension}} ${{domain}} ${{nexthop}} ${{size}} end
plain unix - n n - - pipe user=dave:mail eol=\\r\\n argv={dir}/record ${{recipient}}
fails unix - n n - - pipe user=dave argv=/bin/sh -c {{ echo 4.7.1 come back; exit 70 }}
asroot unix - n n - - pipe user=root argv=/usr/bin/id
nouser unix - n n - - pipe argv=/usr/bin/id
slow unix - n n - - pipe user=dave argv=/bin/sleep 60
"""
RECORD = """#!/usr/bin/python3
import os, sys
out = {out!r}
fds = sorted(int(n) for n in os.listdir("/proc/self/fd"))
open(out + ".args", "w").write("\\0".join(sys.argv[1:]))
open(out + ".env", "w").write(f"{{os.getuid()}} {{os.getgid()}} {{os.getgroups()}} {{len(fds)}} {{sorted(os.environ)}}")
open(out + ".text", "wb").write(sys.stdin.buffer.read())
"""


@unittest.skipUnless(os.getuid() == 0, "needs root")
class Pipe(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.m = m = Master(start=False)
        cls.addClassCleanup(m.close)
        out = m.dir / "out"
        out.mkdir()
        os.chown(out, DAVE, DAVE)
        cls.out = out / "record"
        record = m.dir / "record"
        record.write_text(RECORD.format(out=str(cls.out)))
        record.chmod(0o755)
        m.configure(MAIN, SERVICES.format(dir=m.dir) + "bounce unix - n n - 0 bounce")
        m.start_as_root(BUILD / "libexec", [f"dave:x:{DAVE}:{DAVE}::/nonexistent:/bin/sh"])
        m.client().close()

    def send(self, to, text="Subject: hello\r\n\r\n.dot\r\nFrom here\r\nend\r\n", sender="sender@remote.test"):
        with smtplib.SMTP("127.0.0.1", self.m.port, timeout=PATIENCE) as s:
            s.ehlo()
            s.mail(sender)
            for r in [to] if isinstance(to, str) else to:
                code, words = s.rcpt(r)
                self.assertEqual(code, 250, words)
            code, words = s.data(text)
        self.assertEqual(code, 250, words)
        return re.search(rb"queued as (\S+)", words).group(1).decode()

    def verdict(self, queue_id):
        found = self.m.wait_text(rf"{queue_id}: to=<.*?>, relay=(\S+), .*?dsn=(\S+), status=(\w+) \((.*)\)")[0]
        return found

    def part(self, name):
        return (self.out.parent / f"record.{name}").read_bytes()

    def test_the_command_gets_each_word_as_it_is(self):
        got = self.verdict(self.send("\"A;b $(x) `y` '*\"+Ext@Record.Test"))

        self.assertEqual(got, ("record", "2.0.0", "sent", "delivered via record service"))
        args = self.part("args").split(b"\0")
        self.assertEqual(args[:8] + args[9:],
                         [b"-f", b"sender@remote.test", b"--", b"a;b $(x) `y` '*+ext@record.test", b"a;b $(x) `y` '*",
                          b"ext", b"record.test", b"hop.test", b"end"])
        self.assertTrue(args[8].isdigit())
        uid, gid, rest = self.part("env").decode().split(" ", 2)
        self.assertEqual((uid, gid), (str(DAVE), str(DAVE)))
        self.assertIn("] 4 [", rest, "descriptors 0 to 2, and the directory that is listed")
        self.assertNotIn("SENDER", rest)
        text = self.part("text").decode()
        self.assertTrue(text.startswith("Return-Path: <sender@remote.test>\nX-Original-To: "), text)
        self.assertIn("\nDelivered-To: ", text)
        self.assertTrue(text.endswith("\n..dot\n>From here\nend\n"), text)

    def test_one_command_has_all_recipients(self):
        got = self.verdict(self.send(["a@plain.test", "b+c@plain.test"], sender="<>"))

        self.assertEqual(got[2:], ("sent", "delivered via plain service"))
        self.assertEqual(self.part("args"), b"a@plain.test\0b+c@plain.test")
        self.assertTrue(self.part("env").startswith(f"{DAVE} {grp.getgrnam('mail').gr_gid} [] ".encode()), self.part("env"))
        self.assertIn(b"\r\n.dot\r\nFrom here\r\nend\r\n", self.part("text"))
        self.assertTrue(self.part("text").startswith(b"Received:"))

    def test_a_message_that_was_here_before_is_a_loop(self):
        queue_id = self.send("x@record.test", "Delivered-To: x@record.test\r\n\r\nx\r\n")
        self.assertEqual(self.verdict(queue_id)[1:], ("5.4.6", "bounced", "mail forwarding loop for x@record.test"))

    def test_a_command_says_what_it_means(self):
        self.assertEqual(self.verdict(self.send("x@fails.test"))[1:],
                         ("4.7.1", "deferred", "internal software error. Command output: 4.7.1 come back"))

    def test_a_slow_command_is_killed(self):
        self.assertEqual(self.verdict(self.send("x@slow.test"))[1:],
                         ("5.3.0", "bounced", 'Command time limit exceeded: "/bin/sleep"'))

    def test_nothing_runs_as_root(self):
        self.assertEqual(self.verdict(self.send("x@root.test"))[2:], ("deferred", "the pipe service would run as root"))
        self.assertEqual(self.verdict(self.send("x@nouser.test"))[2:],
                         ("deferred", "the pipe service has no user= argument in master.cf"))


if __name__ == "__main__":
    unittest.main()
