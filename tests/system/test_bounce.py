"""Notifications, from the failed delivery to the sender's mailbox, read by Python's mail parser."""
import email, email.policy, glob, os, pathlib, re, smtplib, unittest

from merpati import BUILD, Master, PATIENCE, wait_for

OWNER, DAVE = 5000, 7104
MAIN = """
mydestination = $myhostname
local_recipient_maps =
alias_maps = inline:{{ {{later = "|exit 75"}} {{twice = one, two}} }}
default_privs = dave
virtual_mailbox_domains = example.test
virtual_mailbox_maps = static:alice/
virtual_mailbox_base = {mail}
virtual_uid_maps = static:5000
virtual_gid_maps = static:5000
bounce_size_limit = 200000
delay_warning_time = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 1s
notify_classes = 2bounce
2bounce_notice_recipient = postmaster@example.test
"""
HOST = "mail.example.test"


class Base(unittest.TestCase):
    extra = ""
    services = ""

    @classmethod
    def setUpClass(cls):
        cls.m = m = Master(start=False)
        cls.addClassCleanup(m.close)
        cls.prepare()
        cls.mail = m.dir / "mail"
        cls.mail.mkdir()
        os.chown(cls.mail, OWNER, OWNER)
        m.configure(MAIN.format(mail=cls.mail) + cls.extra.format(etc=m.etc, dir=m.dir), "bounce unix - n n - 0 bounce\nvirtual unix - n n - - virtual\n" + cls.services)
        m.start_as_root(BUILD / "libexec", [f"dave:x:{DAVE}:{DAVE}::/nonexistent:/bin/sh"])
        m.client().close()

    @classmethod
    def prepare(cls):
        """What is to be there before the server starts."""

    def send(self, to, text="Subject: hello\r\nMessage-ID: <1@here>\r\n\r\nBody\r\n", sender="alice@example.test", options="",
             rcpt_options=""):
        with smtplib.SMTP("127.0.0.1", self.m.port, timeout=PATIENCE) as s:
            s.ehlo()
            for command in (f"MAIL FROM:<{sender}>{options}",
                            *(f"RCPT TO:<{one}>{rcpt_options}" for one in ([to] if isinstance(to, str) else to)), "DATA"):
                s.send(command.encode() + b"\r\n")
                code, words = s.getreply()
                self.assertLess(code, 400, (command, words))
            s.send(text if isinstance(text, bytes) else text.encode())
            s.send(b".\r\n")
            code, words = s.getreply()
        self.assertEqual(code, 250, words)
        return re.search(rb"queued as (\S+)", words).group(1).decode()

    def notification(self, queue_id, kind="sender non-delivery"):
        """The notification about a message, as it stands in the mailbox."""
        new = self.m.wait_text(rf"{queue_id}: {kind} notification: (\S+)")[0]
        found = wait_for(lambda: [p for p in glob.glob(f"{self.mail}/alice/new/*") if new in pathlib.Path(p).read_text(
            errors="replace")], "the notification: " + self.m.text())
        return email.message_from_bytes(pathlib.Path(found[0]).read_bytes(), policy=email.policy.default)

    def parts(self, report):
        self.assertEqual(report.get_content_type(), "multipart/report")
        self.assertEqual(report.get_param("report-type"), "delivery-status")
        self.assertEqual(report.defects, [])
        parts = list(report.iter_parts())
        self.assertEqual(len(parts), 3)
        for part in parts:
            self.assertEqual(part.defects, [])
        return parts

    def status(self, part):
        """The blocks of fields: of the message, and of each recipient."""
        return [dict(block.items()) for block in part.get_payload()]


@unittest.skipUnless(os.getuid() == 0, "needs root")
class Bounce(Base):
    def test_failed_mail_comes_back(self):
        queue_id = self.send(f"noone@{HOST}", options=" ENVID=a+2Bb", rcpt_options=" ORCPT=rfc822;No+2Bone@x.test")

        report = self.notification(queue_id)
        people, status, original = self.parts(report)

        self.assertEqual(report["Return-Path"], "<>")
        self.assertEqual(report["To"], "alice@example.test")
        self.assertEqual(report["Subject"], "Undelivered Mail Returned to Sender")
        self.assertEqual(report["From"].addresses[0].addr_spec, f"MAILER-DAEMON@{HOST}")
        self.assertEqual(report["Auto-Submitted"], "auto-replied")
        self.assertEqual(len(report.get_all("Date")), 1)
        self.assertEqual(len(report.get_all("Message-Id")), 1)
        self.assertIn(f'\n<noone@{HOST}>: unknown user: "noone"\n', people.get_content())
        message, recipient = self.status(status)
        self.assertEqual(message["Reporting-MTA"], f"dns; {HOST}")
        self.assertEqual(message["Original-Envelope-Id"], "a+b")
        self.assertEqual(message["X-Merpati-Queue-ID"], queue_id)
        self.assertEqual(message["X-Merpati-Sender"], "rfc822; alice@example.test")
        self.assertEqual((recipient["Final-Recipient"], recipient["Original-Recipient"], recipient["Action"], recipient["Status"],
                          recipient["Diagnostic-Code"]),
                         (f"rfc822; noone@{HOST}", "rfc822;No+one@x.test", "failed", "5.1.1", 'X-Merpati; unknown user: "noone"'))
        self.assertEqual(original.get_content_type(), "message/rfc822")
        self.assertEqual(original.get_content()["Subject"], "hello")
        self.assertEqual(original.get_content().get_content(), "Body\n")
        self.m.wait_text(rf"{queue_id}: removed")

    def test_returns_headers_where_the_sender_wants_no_more(self):
        _, _, original = self.parts(self.notification(self.send(f"noone@{HOST}", options=" RET=HDRS")))
        self.assertEqual(original.get_content_type(), "text/rfc822-headers")
        self.assertIn("Subject: hello\n", original.get_content())
        self.assertNotIn("Body", original.get_content())

    def test_returns_large_mail_whole_up_to_the_limit(self):
        for size, whole in ((150000, True), (250000, False)):
            line = b"x" * 98 + b"\r\n"
            queue_id = self.send(f"noone@{HOST}", b"Subject: big\r\n\r\n" + line * (size // 100))
            _, _, original = self.parts(self.notification(queue_id))
            self.assertEqual(original.get_content_type(), "message/rfc822" if whole else "text/rfc822-headers")
            if whole:
                self.assertEqual(original.get_content().get_content().count("x" * 98 + "\n"), size // 100)

    def test_one_notification_names_all_that_failed(self):
        people, status, _ = self.parts(self.notification(self.send(f"twice@{HOST}")))
        self.assertIn("unknown user", people.get_content())
        self.assertEqual(len(self.status(status)), 2)

    def test_names_500_recipients_in_one_notification_and_the_501st_in_another(self):
        for count, reports in ((500, [500]), (501, [1, 500])):
            queue_id = self.send([f"user{i}@{HOST}" for i in range(count)])
            self.m.wait_text(rf"{queue_id}: removed")
            ids = self.m.wait_text(rf"{queue_id}: sender non-delivery notification: (\S+)", len(reports))
            for new in ids:
                self.m.wait_text(rf"{new}: to=<alice@example.test>.*status=sent")
            texts = [p.read_bytes() for p in pathlib.Path(f"{self.mail}/alice/new").iterdir()]
            got = [self.status(self.parts(email.message_from_bytes(t, policy=email.policy.default))[1])
                   for t in texts if f"X-Merpati-Queue-ID: {queue_id}".encode() in t]
            self.assertEqual(sorted(len(blocks) - 1 for blocks in got), reports)

    def test_tells_nobody_who_asked_not_to_be_told(self):
        queue_id = self.send(f"noone@{HOST}", rcpt_options=" NOTIFY=NEVER")
        self.m.wait_text(rf"{queue_id}: removed")
        self.assertNotIn(f"{queue_id}: sender non-delivery", self.m.text())

    def test_tells_of_success_where_that_is_wanted(self):
        queue_id = self.send("alice@example.test", rcpt_options=" NOTIFY=SUCCESS")
        report = self.notification(queue_id, "sender delivery status")
        people, status, original = self.parts(report)
        self.assertEqual(report["Subject"], "Successful Mail Delivery Report")
        self.assertIn("<alice@example.test>: delivery via virtual: delivered to maildir\n", people.get_content())
        self.assertEqual((self.status(status)[1]["Action"], self.status(status)[1]["Status"]), ("delivered", "2.0.0"))
        self.assertEqual(original.get_content_type(), "text/rfc822-headers")

    def test_warns_of_a_delay_once(self):
        queue_id = self.send(f"later@{HOST}")
        report = self.notification(queue_id, "sender delay")
        people, status, _ = self.parts(report)
        self.assertEqual(report["Subject"], "Delayed Mail (still being retried)")
        self.assertIn("THIS IS A WARNING ONLY", people.get_content())
        recipient = self.status(status)[1]
        self.assertEqual((recipient["Action"], recipient["Status"]), ("delayed", "4.3.0"))
        self.assertIn("Will-Retry-Until", recipient)
        self.m.wait_text(rf"{queue_id}: to=<later", 4)
        self.assertEqual(self.m.text().count(f"{queue_id}: sender delay notification"), 1)

    def test_what_cannot_be_returned_goes_to_the_postmaster(self):
        queue_id = self.send(f"noone@{HOST}", sender="")
        report = self.notification(queue_id, "postmaster non-delivery")
        self.assertEqual(report["To"], "postmaster@example.test")
        self.assertEqual(report["Return-Path"], f"<double-bounce@{HOST}>")
        self.assertEqual(report["Subject"], "Postmaster Copy: Undelivered Mail")

    def test_a_double_bounce_is_the_end(self):
        queue_id = self.send(f"noone@{HOST}", sender=f"double-bounce@{HOST}")
        self.m.wait_text(rf"{queue_id}: undeliverable postmaster notification discarded")
        self.m.wait_text(rf"{queue_id}: removed")

    def test_speaks_utf8_where_the_message_did(self):
        queue_id = self.send(f"n\u00f6one@{HOST}", "Subject: h\u00e9llo\r\n\r\nB\u00f6dy\r\n", options=" SMTPUTF8 BODY=8BITMIME")
        report = self.notification(queue_id)
        people, status, original = self.parts(report)
        self.assertIn(f"<n\u00f6one@{HOST}>", people.get_content())
        self.assertEqual(status.get_content_type(), "message/global-delivery-status")
        self.assertIn(f"Final-Recipient: utf-8; n\u00f6one@{HOST}\n", status.as_bytes().decode())
        self.assertEqual(original.get_content_type(), "message/global")


@unittest.skipUnless(os.getuid() == 0, "needs root")
class Transports(Base):
    """error, retry and discard: lines and reports as Debian's Postfix 3.7 makes them of the same."""
    extra = """
virtual_alias_maps = inline:{{ {{all@example.test = coded@a.test plain@b.test bare@c.test soft@d.test good@e.test}}
    {{later@example.test = coded@f.test plain@g.test hard@h.test}} {{away@example.test = said@i.test bare@j.test}} }}
transport_maps = inline:{{ {{a.test = error:5.1.6 moved away}} {{b.test = error:plain words}} {{c.test = error:}}
    {{d.test = error:4.2.1 soft words}} {{e.test = error:2.0.0 good words}} {{f.test = retry:4.7.9 come again}}
    {{g.test = retry:plain words}} {{h.test = retry:5.0.0 hard words}} {{i.test = discard:silently}} {{j.test = discard:}} }}
"""
    services = "".join(f"{name} unix - - n - - {program}\n" for name, program in
                       (("error", "error"), ("retry", "error"), ("discard", "discard")))

    def lines(self, queue_id, count):
        found = self.m.wait_text(rf"postfix/(\w+)\[\d+\]: {queue_id}: to=<(\w+)@.*relay=none,.* dsn=(\S+), status=(\w+) \((.*)\)",
                                 count)
        return {user: (program, dsn, status, text) for program, user, dsn, status, text in found}

    def test_error_fails_for_good_with_the_words_of_the_next_hop(self):
        queue_id = self.send("all@example.test")
        want = {"coded": ("5.1.6", "moved away"), "plain": ("5.0.0", "plain words"), "bare": ("5.0.0", "Address is undeliverable"),
                "soft": ("5.0.0", "soft words"), "good": ("5.0.0", "good words")}

        lines = self.lines(queue_id, 5)
        people, status, _ = self.parts(self.notification(queue_id))

        self.assertEqual(lines, {user: ("error", dsn, "bounced", text) for user, (dsn, text) in want.items()})
        reported = {fields["Final-Recipient"].split("; ")[1].split("@")[0]: fields for fields in self.status(status)[1:]}
        self.assertEqual({user: (f["Action"], f["Status"], f["Diagnostic-Code"], f["Original-Recipient"])
                          for user, f in reported.items()},
                         {user: ("failed", dsn, f"X-Merpati; {text}", "rfc822;all@example.test") for user, (dsn, text) in want.items()})
        self.assertIn("\n<plain@b.test> (expanded from <all@example.test>): plain words\n", people.get_content())

    def test_retry_waits_with_the_words_of_the_next_hop(self):
        queue_id = self.send("later@example.test")
        self.assertEqual(self.lines(queue_id, 3), {"coded": ("error", "4.7.9", "deferred", "come again"),
                                                   "plain": ("error", "4.0.0", "deferred", "plain words"),
                                                   "hard": ("error", "4.0.0", "deferred", "hard words")})

    def test_discard_is_a_success_of_which_one_can_be_told(self):
        queue_id = self.send("away@example.test", rcpt_options=" NOTIFY=SUCCESS")
        self.assertEqual(self.lines(queue_id, 2), {"said": ("discard", "2.0.0", "sent", "silently"),
                                                   "bare": ("discard", "2.0.0", "sent", "j.test")})
        people, status, _ = self.parts(self.notification(queue_id, "sender delivery status"))
        self.assertIn("silently\n", people.get_content())
        self.assertNotIn("delivery via", people.get_content())


@unittest.skipUnless(os.getuid() == 0, "needs root")
class Transcripts(Base):
    extra = "notify_classes = protocol\nerror_notice_recipient = alice@example.test\n"

    def test_the_postmaster_sees_a_session_that_went_wrong(self):
        with self.m.client() as c:
            c.ask("HELO there.test")
            c.ask("NONSENSE")
        found = wait_for(lambda: glob.glob(f"{self.mail}/alice/new/*"), "the notice: " + self.m.text())
        notice = email.message_from_bytes(pathlib.Path(found[0]).read_bytes(), policy=email.policy.default)
        self.assertEqual((notice["Return-Path"], notice["To"], notice["Subject"]),
                         (f"<double-bounce@{HOST}>", "Postmaster <alice@example.test>",
                          "Merpati SMTP server: errors from localhost[127.0.0.1]"))
        self.assertEqual(notice.get_content(),
                         f"Transcript of session follows.\n\n Out: 220 {HOST} ESMTP Merpati\n In:  HELO there.test\n Out: 250 {HOST}\n"
                         " In:  NONSENSE\n Out: 500 5.5.2 Error: command not recognized\n\n"
                         "Session aborted, reason: lost connection\n\nFor other details, see the local mail logfile\n")


@unittest.skipUnless(os.getuid() == 0, "needs root")
class SoftBounce(Base):
    extra = "soft_bounce = yes\n"

    def test_nothing_fails_for_good(self):
        queue_id = self.send(f"noone@{HOST}")
        self.m.wait_text(rf'{queue_id}: to=<noone@{HOST}>,.* dsn=4\.\d\.\d, status=SOFTBOUNCE \(unknown user: "noone"\)')
        with self.m.client() as c:
            self.assertEqual(c.ask("NONSENSE"), "400 4.5.2 Error: command not recognized")
        self.assertNotIn(f"{queue_id}: sender non-delivery", self.m.text())


@unittest.skipUnless(os.getuid() == 0, "needs root")
class Postmaster(Base):
    extra = """
notify_classes = bounce delay
bounce_notice_recipient = bounces@example.test
delay_notice_recipient = delays@example.test
double_bounce_sender = nobody-answers
confirm_delay_cleared = yes
enable_original_recipient = no
alias_maps = inline:{{ {{later = "|test -e {dir}/open || exit 75"}} }}
"""

    def test_copies_go_to_whom_the_parameters_name(self):
        queue_id = self.send(f"noone@{HOST}")
        self.notification(queue_id)
        copy = self.notification(queue_id, "postmaster non-delivery")
        self.assertEqual((copy["To"], copy["Return-Path"], copy["Subject"], copy["Auto-Submitted"]),
                         ("bounces@example.test", f"<nobody-answers@{HOST}>", "Postmaster Copy: Undelivered Mail", "auto-generated"))
        people, _, original = self.parts(copy)
        self.assertEqual(people.get_content().strip(), f'<noone@{HOST}>: unknown user: "noone"')
        self.assertEqual(original.get_content_type(), "text/rfc822-headers")

    def test_mail_to_the_sender_of_double_bounces_is_thrown_away(self):
        queue_id = self.send(f"nobody-answers@{HOST}")
        self.m.wait_text(rf"{queue_id}: to=<nobody-answers@{HOST}>, relay=none,.* dsn=2.0.0, status=sent "
                         r"\(undeliverable postmaster notification discarded\)")
        self.m.wait_text(rf"{queue_id}: removed")

    def test_a_delay_that_is_over_is_told_too(self):
        queue_id = self.send(f"later@{HOST}")
        self.notification(queue_id, "sender delay")
        self.assertEqual(self.notification(queue_id, "postmaster delay")["To"], "delays@example.test")
        (self.m.dir / "open").touch()
        report = self.notification(queue_id, "sender delivery status")
        _, status, _ = self.parts(report)
        self.assertEqual(report["Subject"], "Successful Mail Delivery Report")
        self.assertEqual(self.status(status)[1]["Final-Recipient"], f"rfc822; later@{HOST}")
        self.assertNotIn("orig_to=", self.m.text())


TEMPLATES = """
# ours
failure_template = <<EOF
Charset: utf-8
From: The Post <post@example.test>
Subject: {subject}

H\u00e9las, $myhostname gives up after $maximal_queue_lifetime_days days.
EOF
"""


@unittest.skipUnless(os.getuid() == 0, "needs root")
class Templates(Base):
    extra = "bounce_template_file = {etc}/bounce.cf\n"

    @classmethod
    def prepare(cls):
        cls.write("It did not work")

    @classmethod
    def write(cls, subject):
        new = cls.m.etc / "bounce.cf.new"
        new.write_text(TEMPLATES.format(subject=subject))
        new.chmod(0o600)
        new.rename(cls.m.etc / "bounce.cf")

    def test_speaks_as_the_administrator_wrote_it(self):
        report = self.notification(self.send(f"noone@{HOST}"))
        people, _, _ = self.parts(report)
        self.assertEqual((report["Subject"], report["From"]), ("It did not work", "The Post <post@example.test>"))
        self.assertEqual(people.get_content(), f"H\u00e9las, {HOST} gives up after 5 days.\n\n"
                         f'<noone@{HOST}>: unknown user: "noone"\n')

    def test_takes_up_a_changed_file_and_leaves_a_broken_one_aside(self):
        for subject, want in (("Another", "Another"), ("", "Undelivered Mail Returned to Sender")):
            self.write(subject)
            wait_for(lambda: self.notification(self.send(f"noone@{HOST}"))["Subject"] == want, want)
        self.m.wait_text(r'bounce.cf, line 6: empty "Subject" header value in failure template -- ignoring this template')


if __name__ == "__main__":
    unittest.main()
