"""Mail for other hosts: the SMTP client against a scripted server."""
import os, re, smtplib, tempfile, unittest

from merpati import BUILD, Master, PATIENCE, free_port
from remote import Remote

SERVICES = """
smtp unix - - n - - smtp
relay unix - - n - - smtp -o syslog_name=postfix/relay
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
"""


class Client(unittest.TestCase):
    def server(self, main="", services=SERVICES):
        m = Master(start=False)
        self.addCleanup(m.close)
        m.libexec = BUILD / "libexec"
        m.configure("mydestination = $myhostname\nalias_maps =\nlocal_recipient_maps =\n" + main, services)
        m.start()
        m.client().close()
        return m

    def remote(self, *args, **kw):
        r = Remote(*args, **kw)
        self.addCleanup(r.close)
        return r

    def send(self, m, to="user@remote.test", text="Subject: hello\r\n\r\nHello.\r\n", sender="sender@example.test",
             options=()):
        with smtplib.SMTP("127.0.0.1", m.port, timeout=PATIENCE) as s:
            s.ehlo()
            code, words = s.mail(sender, options)
            self.assertEqual(code, 250, words)
            for r in [to] if isinstance(to, str) else to:
                code, words = s.rcpt(r)
                self.assertEqual(code, 250, words)
            code, words = s.data(text)
        self.assertEqual(code, 250, words)
        return re.search(rb"queued as (\S+)", words).group(1).decode()

    def verdict(self, m, queue_id, count=1):
        """(relay, dsn, status, text) of each recipient"""
        found = m.wait_text(rf"{queue_id}: to=<.*?>, relay=(\S+), .*?dsn=(\S+), status=(\w+) \((.*)\)", count)
        return found[0] if count == 1 else found


class Relay(Client):
    def test_mail_goes_to_the_relayhost(self):
        r = self.remote()
        m = self.server(f"relayhost = [127.0.0.1]:{r.port}")

        q = self.send(m, text="Subject: hello\r\n\r\n.dot\r\n..dots\r\nend\r\n")

        self.assertEqual(self.verdict(m, q),
                         (f"127.0.0.1[127.0.0.1]:{r.port}", "2.0.0", "sent", "250 2.0.0 Ok: queued as REMOTE"))
        got = r.wait_messages()[0]
        self.assertTrue(got.mail.startswith("MAIL FROM:<sender@example.test> SIZE="), got.mail)
        self.assertEqual(got.rcpts, ["RCPT TO:<user@remote.test> ORCPT=rfc822;user@remote.test"])
        self.assertTrue(got.text.endswith(b"\r\n\r\n.dot\r\n..dots\r\nend\r\n"), got.text)
        self.assertTrue(got.text.startswith(b"Received: "), got.text)
        m.wait_text(rf"postfix/qmgr\[\d+\]: {q}: removed")

    def test_connections_are_used_again_where_there_is_much_mail(self):
        r = self.remote()
        m = self.server(f"relayhost = [127.0.0.1]:{r.port}\ndefault_destination_concurrency_limit = 2\n"
                        "smtp_destination_recipient_limit = 1")

        ids = [self.send(m) for _ in range(20)]

        r.wait_messages(20)
        for q in ids:
            self.verdict(m, q)
        self.assertLess(len(r.sessions), 20)
        m.wait_text(r"relay=127.0.0.1\[127.0.0.1\]:\d+, conn_use=\d+, delay=")

    def test_the_postmaster_sees_a_conversation_in_which_we_seem_wrong(self):
        r = self.remote(replies={"MAIL": ["500 5.5.2 what?", "250 2.1.0 Ok"]})
        other = self.remote()
        m = self.server(f"relayhost = [127.0.0.1]:{r.port}\nnotify_classes = protocol\n"
                        "error_notice_recipient = hostmaster@remote.test\n"
                        f"transport_maps = inline:{{ {{hostmaster@remote.test = smtp:[127.0.0.1]:{other.port}}} }}\n")

        self.send(m)

        got = other.wait_messages()[0]
        self.assertTrue(got.mail.startswith("MAIL FROM:<double-bounce@mail.example.test>"), got.mail)
        text = got.text.decode()
        self.assertIn(f"\r\nSubject: Merpati SMTP client: errors from 127.0.0.1[127.0.0.1]:{r.port}\r\n", text)
        self.assertIn("\r\n In:  500 5.5.2 what?\r\n", text)

    def test_what_a_server_refuses_goes_back_to_the_sender(self):
        r = self.remote(replies={"RCPT": ["250 2.1.5 Ok", "550 5.1.1 <nobody@remote.test>: no such user"]})
        m = self.server(f"relayhost = [127.0.0.1]:{r.port}")

        q = self.send(m, to=["user@remote.test", "nobody@remote.test"])

        r.wait_messages(2)
        m.wait_text(rf"{q}: to=<nobody@remote.test>, relay=127.0.0.1\[127.0.0.1\]:{r.port}, delay=.*, dsn=5.1.1, "
                    r"status=bounced \(host 127.0.0.1\[127.0.0.1\] said: 550 5.1.1 <nobody@remote.test>: no such user "
                    r"\(in reply to RCPT TO command\)\)")
        bounce = r.messages[1]
        self.assertEqual(bounce.mail.split(" ")[1], "FROM:<>")
        self.assertEqual(bounce.rcpts, ["RCPT TO:<sender@example.test> ORCPT=rfc822;sender@example.test"])
        self.assertIn(b"Diagnostic-Code: smtp; 550 5.1.1 <nobody@remote.test>: no such user", bounce.text)
        self.assertIn(b"Remote-MTA: dns; 127.0.0.1", bounce.text)

    def test_success_is_told_where_the_next_server_will_not(self):
        for knows_dsn in (False, True):
            r = self.remote(keywords=["DSN"] if knows_dsn else [])
            m = self.server(f"relayhost = [127.0.0.1]:{r.port}")
            with smtplib.SMTP("127.0.0.1", m.port, timeout=PATIENCE) as s:
                s.sendmail("sender@example.test", "user@remote.test", "Subject: x\r\n\r\n", ["RET=HDRS"],
                           ["NOTIFY=SUCCESS,FAILURE"])

            if knows_dsn:
                self.assertEqual(r.wait_messages()[0].rcpts,
                                 ["RCPT TO:<user@remote.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;user@remote.test"])
                m.wait_text(r"removed")
            else:
                report = r.wait_messages(2)[1]
                self.assertIn(b"Action: relayed", report.text)
            self.assertEqual(len(r.messages), 1 if knows_dsn else 2)

    def test_a_host_that_is_not_there_is_tried_later(self):
        port = free_port()
        m = self.server(f"relayhost = [127.0.0.1]:{port}")

        q = self.send(m)

        self.assertEqual(self.verdict(m, q), ("none", "4.4.1", "deferred",
                                              f"connect to 127.0.0.1[127.0.0.1]:{port}: Connection refused"))

    def test_large_messages_arrive_octet_for_octet(self):
        r = self.remote()
        m = self.server(f"relayhost = [127.0.0.1]:{r.port}\nmessage_size_limit = 0\nmailbox_size_limit = 0")
        body = b"".join(b"%s%d %s\r\n" % (b"." if i % 5 == 0 else b"", i, b"x" * (i % 200)) for i in range(100000))

        self.send(m, text=b"Subject: large\r\n\r\n" + body)

        self.assertTrue(r.wait_messages()[0].text.endswith(b"\r\n\r\n" + body))


class Chain(Client):
    """Two of our servers in a row, and a scripted one at the end."""

    CONTENTS = {
        "plain": b"Hello.\r\n",
        "dots": b".\r\n..\r\n.a\r\n...\r\n",
        "empty": b"",
        "no last line end": b"a",
        "blank lines": b"\r\n\r\n\r\n",
        "eight bits": "gr\u00fc\u00dfe \u20ac\r\n".encode() + bytes(range(128, 256)) + b"\r\n",
        "control characters": bytes(c for c in range(1, 32) if c not in (10, 13)) + b"\x7f\r\n",
        "lines of 998": b"x" * 998 + b"\r\n" + b"." * 997 + b"\r\n",
        "large": b"".join(b".line %d\r\n" % i for i in range(400000)),
    }

    def test_content_arrives_octet_for_octet(self):
        for keyword in ("chunking", ""):
            r = self.remote()
            b = self.server(f"relayhost = [127.0.0.1]:{r.port}\nmessage_size_limit = 0\nmailbox_size_limit = 0")
            a = self.server(f"relayhost = [127.0.0.1]:{b.port}\nmessage_size_limit = 0\nmailbox_size_limit = 0\n"
                            f"smtp_discard_ehlo_keywords = {keyword}")
            for n, (says, content) in enumerate(self.CONTENTS.items()):
                with self.subTest(says, discarded=keyword):
                    self.send(a, text=b"Subject: x\r\n\r\n" + content, options=["BODY=8BITMIME"])

                    got = r.wait_messages(n + 1)[n].text
                    want = content if content.endswith(b"\r\n") or not content else content + b"\r\n"
                    self.assertEqual(got.split(b"\r\n\r\n", 1)[1], want)

    def test_internationalized_addresses_arrive(self):
        r = self.remote()
        b = self.server(f"relayhost = [127.0.0.1]:{r.port}")
        a = self.server(f"relayhost = [127.0.0.1]:{b.port}")
        with smtplib.SMTP("127.0.0.1", a.port, timeout=PATIENCE) as s:
            s.ehlo()
            for line in ("MAIL FROM:<gr\u00fc\u00dfe@example.test> SMTPUTF8 BODY=8BITMIME", "RCPT TO:<\u03b1@remote.test>"):
                s.send(f"{line}\r\n".encode())
                code, words = s.getreply()
                self.assertEqual(code, 250, words)
            s.data("Subject: \u03b1\r\n\r\n\u03b2\r\n".encode())

        got = r.wait_messages()[0]

        self.assertIn("SMTPUTF8", got.mail)
        self.assertTrue(got.rcpts[0].startswith("RCPT TO:<\u03b1@remote.test>"), got.rcpts)
        self.assertIn("\r\nSubject: \u03b1\r\n".encode(), got.text)
        self.assertTrue(got.text.endswith("\r\n\r\n\u03b2\r\n".encode()), got.text)

    def test_what_the_next_server_cannot_do_is_done_before(self):
        r = self.remote(keywords=[])
        m = self.server(f"relayhost = [127.0.0.1]:{r.port}")

        self.send(m, text="MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\u00e4\r\n".encode())

        self.assertTrue(r.wait_messages()[0].text.endswith(
            b"Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4\r\n"), r.messages[0].text)


LMTP = SERVICES + "lmtp unix - - n - - lmtp\n"
MAPS = "relay_domains = lmtp.test\ntransport_maps = inline:{{ lmtp.test=lmtp:{} }}\n"


class Lmtp(Client):
    def deliver(self, m, r, relay):
        q = self.send(m, to=["one@lmtp.test", "two@lmtp.test", "three@lmtp.test"])

        verdicts = self.verdict(m, q, 3)
        self.assertEqual({v[0] for v in verdicts}, {relay})
        self.assertEqual(sorted(v[2] for v in verdicts), ["bounced", "deferred", "sent"])
        m.wait_text(rf"postfix/lmtp\[\d+\]: {q}: to=<two@lmtp.test>, .*dsn=4.2.2, status=deferred \(host .* said: "
                    r"452 4.2.2 full \(in reply to end of DATA command\)\)")
        self.assertEqual(r.sessions[0].commands[0], "LHLO mail.example.test")

    REPLIES = {"DOT": ["250 2.1.5 kept", "452 4.2.2 full", "552 5.2.2 over quota"]}

    def test_each_recipient_has_an_answer_of_its_own(self):
        r = self.remote(self.REPLIES, lmtp=True)
        m = self.server(MAPS.format(f"inet:127.0.0.1:{r.port}"), LMTP)

        self.deliver(m, r, f"127.0.0.1[127.0.0.1]:{r.port}")

    def test_a_socket_below_the_queue_directory(self):
        m = self.server(MAPS.format("unix:private/scripted"), LMTP)
        r = self.remote(self.REPLIES, lmtp=True, path=m.spool / "private" / "scripted")

        self.deliver(m, r, "mail.example.test[private/scripted]")

    def test_a_socket_elsewhere_that_a_parameter_names(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        os.chmod(directory.name, 0o755)
        path = directory.name + "/socket"
        r = self.remote(lmtp=True, path=path)
        m = self.server(f"relay_domains = lmtp.test\nrelay_transport = lmtp:unix:{path}", LMTP)

        q = self.send(m, "one@lmtp.test")

        self.assertEqual(self.verdict(m, q)[:3], (f"mail.example.test[{path}]", "2.0.0", "sent"))

    def test_a_socket_that_nothing_names_is_out_of_reach(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        os.chmod(directory.name, 0o755)
        table = directory.name + "/transport"
        with open(table, "w") as f:
            f.write(f"lmtp.test lmtp:unix:{directory.name}/socket\n")
        self.remote(lmtp=True, path=directory.name + "/socket")
        m = self.server(f"relay_domains = lmtp.test\ntransport_maps = texthash:{table}", LMTP)

        q = self.send(m, "one@lmtp.test")

        self.assertEqual(self.verdict(m, q)[1:3], ("4.4.1", "deferred"))
        m.wait_text(r"asks for the socket .*: put its directory into merpati_connect_directories")

    def test_a_socket_that_is_not_there(self):
        m = self.server(MAPS.format("unix:private/nobody"), LMTP)

        q = self.send(m, "one@lmtp.test")

        self.assertEqual(self.verdict(m, q), ("none", "4.4.1", "deferred", "connect to mail.example.test[private/nobody]: "
                                              "No such file or directory"))


@unittest.skipUnless(os.getuid() == 0, "needs root")
class AsRoot(Client):
    """With users of their own for all processes."""

    def server(self, main="", services=SERVICES):
        m = Master(start=False)
        self.addCleanup(m.close)
        m.configure("mydestination = $myhostname\nalias_maps =\nlocal_recipient_maps =\n" + main, services)
        m.start_as_root(BUILD / "libexec")
        m.client().close()
        return m

    def test_mail_goes_out_over_the_network_and_over_a_socket(self):
        r = self.remote()
        m = self.server(f"relayhost = [127.0.0.1]:{r.port}\n" + MAPS.format("unix:private/scripted"), LMTP)
        lmtp = self.remote(lmtp=True, path=m.spool / "private" / "scripted")

        self.verdict(m, self.send(m))
        self.verdict(m, self.send(m, "one@lmtp.test"))

        self.assertEqual((len(r.messages), len(lmtp.messages)), (1, 1))


if __name__ == "__main__":
    unittest.main()
