"""Local delivery where root has started the server: users, aliases, .forward files, commands."""
import glob, os, pathlib, re, smtplib, stat, unittest

from merpati import BUILD, Master, PATIENCE, wait_for

ALICE, BOB, DAVE = 7101, 7102, 7104
SPOOL_GROUP = 7200
MAIN = """
mydestination = $myhostname, example.test
myorigin = example.test
recipient_delimiter = +
alias_maps = texthash:{etc}/aliases
local_recipient_maps =
default_privs = dave
mail_spool_directory = {dir}/spoolmail
minimal_backoff_time = 1s
maximal_backoff_time = 2s
"""
ALIASES = """
team alice, bob
chief alice
list :include:{dir}/members
owner-list bob
own alice, own2@elsewhere.test
out someone@elsewhere.test
filed /{dir}/filed/box
run "|cat >{dir}/filed/ran; id -un >>{dir}/filed/ran; env >>{dir}/filed/ran"
fails "|echo 5.7.9 no such thing here; exit 1"
later "|exit 75"
loop1 loop2
loop2 loop1
both alice, nobody-at-all
"""


@unittest.skipUnless(os.getuid() == 0, "needs root")
class Case(unittest.TestCase):
    extra = ""

    @classmethod
    def setUpClass(cls):
        cls.m = m = Master(start=False)
        cls.addClassCleanup(m.close)
        cls.homes = {}
        for name, uid in (("alice", ALICE), ("bob", BOB), ("dave", DAVE)):
            cls.homes[name] = home = m.dir / "home" / name
            home.mkdir(parents=True)
            os.chown(home, uid, uid)
            home.chmod(0o700)
        spool = m.dir / "spoolmail"
        spool.mkdir()
        os.chown(spool, 0, SPOOL_GROUP)
        spool.chmod(0o2775)
        filed = m.dir / "filed"
        filed.mkdir()
        os.chown(filed, DAVE, DAVE)
        (m.dir / "members").write_text("# people\nalice\nfar@elsewhere.test\n")
        m.configure(MAIN.format(etc=m.etc, dir=m.dir) + cls.extra, "bounce unix - n n - 0 bounce")
        (m.etc / "aliases").write_text(ALIASES.format(dir=m.dir))
        m.start_as_root(BUILD / "libexec", [
            f"alice:x:{ALICE}:{ALICE}::{cls.homes['alice']}:/bin/sh", f"bob:x:{BOB}:{BOB}::{cls.homes['bob']}:/bin/sh",
            f"carol:x:7103:7103::{m.dir}/home/carol:/bin/sh", f"dave:x:{DAVE}:{DAVE}::{cls.homes['dave']}:/bin/sh"])
        m.client().close()

    def send(self, to, text="Subject: hello\r\n\r\nBody\r\n", sender="sender@remote.test", many=False):
        """result: the queue ID"""
        with smtplib.SMTP("127.0.0.1", self.m.port, timeout=PATIENCE) as s:
            s.ehlo()
            s.mail(sender)
            for r in [to] if isinstance(to, str) else to:
                code, words = s.rcpt(r)
                self.assertEqual(code, 250, words)
            code, words = s.data(text)
        self.assertEqual(code, 250, words)
        return re.search(rb"queued as (\S+)", words).group(1).decode()

    def verdict(self, queue_id, to=r"\S+"):
        """(status, text) of the first delivery line"""
        pattern = rf"{queue_id}: to=<({to})>.*?dsn=(\S+), status=(\w+) \((.*)\)"
        found = self.m.wait_text(pattern)[0]
        return found[2], found[1], found[3]

    def maildir(self, user="alice"):
        return [pathlib.Path(p) for p in glob.glob(f"{self.homes[user]}/Maildir/new/*")]

    def forward(self, user, text, name=".forward", mode=0o600, owner=None):
        path = self.homes[user] / name
        path.write_text(text)
        os.chown(path, owner or os.stat(self.homes[user]).st_uid, 0)
        path.chmod(mode)
        self.addCleanup(lambda: path.unlink(missing_ok=True))
        return path


class Home(Case):
    extra = "home_mailbox = Maildir/\n"

    def test_delivers_into_the_maildir_as_the_user(self):
        before = len(self.maildir())

        got = self.verdict(self.send("alice+x@example.test"))

        self.assertEqual(got, ("sent", "2.0.0", "delivered to maildir"))
        files = self.maildir()
        self.assertEqual(len(files), before + 1)
        newest = max(files, key=lambda f: f.stat().st_mtime_ns)
        self.assertEqual((newest.stat().st_uid, stat.S_IMODE(newest.stat().st_mode)), (ALICE, 0o600))
        self.assertTrue(newest.read_text().startswith(
            "Return-Path: <sender@remote.test>\nX-Original-To: alice+x@example.test\n"
            "Delivered-To: alice+x@example.test\nReceived: "))

    def test_knows_no_such_user(self):
        self.assertEqual(self.verdict(self.send("nobody-at-all@example.test")),
                         ("bounced", "5.1.1", 'unknown user: "nobody-at-all"'))

    def test_an_alias_reaches_all_of_its_members(self):
        a, b = len(self.maildir("alice")), len(self.maildir("bob"))

        got = self.verdict(self.send("team@example.test"))

        self.assertEqual(got[0], "sent", got)
        self.assertEqual((len(self.maildir("alice")), len(self.maildir("bob"))), (a + 1, b + 1))

    def test_an_alias_with_an_unknown_member_fails_and_reaches_the_others(self):
        a = len(self.maildir("alice"))

        got = self.verdict(self.send("both@example.test"))

        self.assertEqual(got, ("bounced", "5.1.1", 'unknown user: "nobody-at-all"'))
        self.assertEqual(len(self.maildir("alice")), a + 1)

    def test_an_address_elsewhere_is_forwarded(self):
        status, dsn, text = self.verdict(self.send("out@example.test"))

        self.assertEqual((status, dsn), ("sent", "2.0.0"))
        new = re.fullmatch(r"forwarded as (\S+)", text).group(1)
        self.assertEqual(self.verdict(new, "someone@elsewhere.test")[0], "deferred")

    def test_a_list_sends_on_from_its_owner(self):
        queue_id = self.send("list@example.test")

        status, dsn, text = self.verdict(queue_id)

        self.assertEqual(status, "sent", text)
        new = re.search(r"forwarded as (\S+)", text).group(1)
        self.m.wait_text(rf"{new}: from=<owner-list@example\.test>")
        self.assertEqual(self.verdict(new, "alice@.*")[0], "sent")

    def test_an_alias_may_name_a_file(self):
        self.assertEqual(self.verdict(self.send("filed@example.test")),
                         ("sent", "2.0.0", f"delivered to file: /{self.m.dir}/filed/box"))
        box = self.m.dir / "filed" / "box"
        self.assertEqual(box.stat().st_uid, DAVE)
        self.assertTrue(box.read_text().startswith("From sender@remote.test  "))
        self.assertTrue(box.read_text().endswith("\nBody\n\n"))

    def test_an_alias_may_run_a_command_without_privileges(self):
        status, dsn, text = self.verdict(self.send("run+ext@example.test", "Subject: run\r\n\r\nGo\r\n", "me'x`y@b.test"))

        self.assertEqual((status, dsn, text[:23]), ("sent", "2.0.0", "delivered to command: c"))
        ran = (self.m.dir / "filed" / "ran").read_text()
        self.assertIn("Delivered-To: run+ext@example.test\n", ran)
        self.assertIn("\nGo\ndave\n", ran)
        for line in ("USER=run", "EXTENSION=ext", "LOCAL=run+ext", "DOMAIN=example.test", "SENDER=me_x_y@b.test",
                     "RECIPIENT=run+ext@example.test", "CLIENT_ADDRESS=127.0.0.1"):
            self.assertIn(f"\n{line}\n", ran)

    def test_a_command_says_what_it_means(self):
        self.assertEqual(self.verdict(self.send("fails@example.test")),
                         ("bounced", "5.7.9", 'Command died with status 1: "echo 5.7.9 no such thing here; exit 1". '
                          "Command output: 5.7.9 no such thing here"))
        self.assertEqual(self.verdict(self.send("later@example.test")), ("deferred", "4.3.0", "temporary failure"))

    def test_a_loop_of_aliases_ends(self):
        status, dsn, text = self.verdict(self.send("loop1@example.test"))
        self.assertEqual((status, dsn), ("bounced", "5.4.6"), text)

    def test_a_message_that_was_here_before_is_a_loop(self):
        got = self.verdict(self.send("alice@example.test", "Delivered-To: ALICE@example.test\r\nSubject: x\r\n\r\nx\r\n"))
        self.assertEqual(got, ("bounced", "5.4.6", "mail forwarding loop for alice@example.test"))

    # --- .forward ---

    def test_a_forward_leads_elsewhere_and_keeps_a_copy(self):
        self.forward("bob", "\\bob\nsomeone@elsewhere.test, alice\n")
        a, b = len(self.maildir("alice")), len(self.maildir("bob"))

        status, dsn, text = self.verdict(self.send("bob@example.test"))

        self.assertEqual(status, "sent", text)
        new = re.search(r"forwarded as (\S+)", text).group(1)
        self.assertEqual(len(self.maildir("bob")), b + 1)
        self.assertEqual(self.verdict(new, "alice@.*")[0], "sent")
        wait_for(lambda: len(self.maildir("alice")) == a + 1, "alice's copy")
        newest = max(self.maildir("alice"), key=lambda f: f.stat().st_mtime_ns).read_text()
        self.assertIn("\nDelivered-To: bob@example.test\n", newest)

    def test_a_forward_of_the_extension_comes_first(self):
        self.forward("bob", "/dev/null\n", ".forward+ext")
        self.assertEqual(self.verdict(self.send("bob+ext@example.test")),
                         ("sent", "2.0.0", "delivered to file: /dev/null"))
        self.assertEqual(self.verdict(self.send("bob+other@example.test"))[2], "delivered to maildir")

    def test_a_forward_runs_commands_as_the_user(self):
        self.forward("bob", '"|id -un > $HOME/ran; cat >> $HOME/ran"\n')
        self.assertEqual(self.verdict(self.send("bob@example.test"))[0], "sent")
        self.assertTrue((self.homes["bob"] / "ran").read_text().startswith("bob\nFrom sender@remote.test  "))

    def test_a_forward_names_files_of_the_user(self):
        self.forward("bob", f"{self.homes['bob']}/saved\n")
        self.assertEqual(self.verdict(self.send("bob@example.test"))[2],
                         f"delivered to file: {self.homes['bob']}/saved")
        self.assertEqual((self.homes["bob"] / "saved").stat().st_uid, BOB)

    def test_a_forward_cannot_reach_files_of_others(self):
        target = self.homes["alice"] / "stolen"
        self.forward("bob", f"{target}\n")
        self.assertEqual(self.verdict(self.send("bob@example.test"))[0], "deferred")
        self.assertFalse(target.exists())

    def test_a_forward_that_others_can_write_does_not_count(self):
        for mode, owner in ((0o620, None), (0o602, None), (0o600, ALICE)):
            self.forward("bob", "/dev/null\n", mode=mode, owner=owner)
            self.assertEqual(self.verdict(self.send("bob@example.test"))[2], "delivered to maildir", oct(mode))

    def test_a_forward_that_is_a_link_does_not_count(self):
        secret = self.homes["alice"] / "secret"
        secret.write_text("stolen@elsewhere.test\n")
        secret.chmod(0o644)
        link = self.homes["bob"] / ".forward"
        link.symlink_to(secret)
        self.addCleanup(link.unlink)
        self.assertEqual(self.verdict(self.send("bob@example.test"))[2], "delivered to maildir")

    def test_a_home_that_is_not_there_puts_mail_off(self):
        self.assertEqual(self.verdict(self.send("carol@example.test"))[:2], ("deferred", "4.3.0"))

    def test_root_gets_no_mail(self):
        status, dsn, text = self.verdict(self.send("root@example.test"))
        self.assertEqual((status, dsn), ("bounced", "5.3.0"), text)


class Spool(Case):
    def test_appends_to_the_mailbox_of_the_user(self):
        for i in range(2):
            got = self.verdict(self.send("alice@example.test", f"Subject: {i}\r\n\r\nFrom here\r\n"))
            self.assertEqual(got, ("sent", "2.0.0", "delivered to mailbox"))
        box = self.m.dir / "spoolmail" / "alice"
        self.assertEqual((box.stat().st_uid, box.stat().st_gid, stat.S_IMODE(box.stat().st_mode)),
                         (ALICE, SPOOL_GROUP, 0o600))
        text = box.read_text()
        self.assertEqual(len(re.findall(r"(?m)^From sender@remote\.test  ", text)), 2)
        self.assertEqual(len(re.findall(r"(?m)^>From here$", text)), 2)
        self.assertFalse((self.m.dir / "spoolmail" / "alice.lock").exists())

    def test_needs_no_home(self):
        self.assertEqual(self.verdict(self.send("carol@example.test")), ("sent", "2.0.0", "delivered to mailbox"))

    def test_a_forward_counts_here_too(self):
        self.forward("bob", "/dev/null\n")
        self.assertEqual(self.verdict(self.send("bob@example.test"))[2], "delivered to file: /dev/null")

    def test_waits_for_a_lock(self):
        lock = self.m.dir / "spoolmail" / "dave.lock"
        lock.write_text("")
        queue_id = self.send("dave@example.test")
        with self.assertRaises(AssertionError):
            self.m.wait_text(rf"{queue_id}: to=<dave", seconds=1.5)
        lock.unlink()
        self.assertEqual(self.verdict(queue_id)[2], "delivered to mailbox")


class Command(Case):
    extra = 'mailbox_command = /usr/bin/tee "$HOME/got"\nluser_relay = alice\n'

    def test_runs_the_mailbox_command_as_the_user(self):
        got = self.verdict(self.send("bob+x@example.test"))
        self.assertEqual(got[0], "sent", got)
        path = self.homes["bob"] / "got"
        self.assertEqual(path.stat().st_uid, BOB)
        self.assertIn("Delivered-To: bob+x@example.test\n", path.read_text())

    def test_unknown_users_go_to_luser_relay(self):
        got = self.verdict(self.send("whoever@example.test"))
        self.assertEqual(got[0], "sent", got)
        self.assertIn("Delivered-To: whoever@example.test", (self.homes["alice"] / "got").read_text())


del Case

if __name__ == "__main__":
    unittest.main()
