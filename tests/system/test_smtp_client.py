"""Mail for other hosts: the SMTP client against a scripted server."""
import re, smtplib, unittest

from merpati import BUILD, Master, PATIENCE
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
        self.assertEqual(got.rcpts, ["RCPT TO:<user@remote.test>"])
        self.assertTrue(got.text.endswith(b"\r\n\r\n.dot\r\n..dots\r\nend\r\n"), got.text)
        self.assertTrue(got.text.startswith(b"Received: "), got.text)
        m.wait_text(rf"postfix/qmgr\[\d+\]: {q}: removed")


if __name__ == "__main__":
    unittest.main()
