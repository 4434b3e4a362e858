"""The main job where root has started the server: each process under a user of its own."""
import crypt, os, poplib, re, smtplib, unittest, warnings

from merpati import BUILD, Master, PATIENCE, USERS, free_port, wait_for

warnings.simplefilter("ignore", DeprecationWarning)
OWNER = 5000  # of the mailboxes

MAIN = """
smtpd_banner = $myhostname ESMTP
mydestination = localhost
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = example.test
virtual_mailbox_maps = inline:{{ alice@example.test=alice/ }}
virtual_mailbox_base = {mail}
virtual_uid_maps = static:5000
virtual_gid_maps = static:5000
merpati_password_file = {etc}/passwd
merpati_login_domain = example.test
"""
MESSAGE = b"From: a@b.test\r\nTo: alice@example.test\r\nSubject: through all walls\r\n\r\nHello.\r\n"


@unittest.skipUnless(os.getuid() == 0, "needs root")
class Users(unittest.TestCase):
    def setUp(self):
        self.m = m = Master(start=False)
        self.addCleanup(m.close)
        mail = m.dir / "mail"
        mail.mkdir()
        os.chown(mail, OWNER, OWNER)
        self.pop3_port = free_port()
        m.configure(MAIN.format(mail=mail, etc=m.etc),
                    f"virtual unix - n n - - virtual\n127.0.0.1:{self.pop3_port} inet n - n - - pop3d")
        master = m.etc / "master.cf"
        master.write_text(re.sub(r"(?m)^local .*\n", "", master.read_text()))
        passwd = m.etc / "passwd"
        passwd.write_text("alice@example.test:" + crypt.crypt("alicepw", crypt.mksalt(crypt.METHOD_SHA512, rounds=1000)) + "\n")
        passwd.chmod(0o600)
        m.start_as_root(BUILD / "libexec")
        m.client().close()

    def pop3(self):
        p = poplib.POP3("127.0.0.1", self.pop3_port, timeout=PATIENCE)
        p.user("alice")
        p.pass_("alicepw")
        return p

    def test_a_message_goes_through_all_walls(self):
        with smtplib.SMTP("127.0.0.1", self.m.port, timeout=PATIENCE) as s:
            s.sendmail("a@b.test", ["alice@example.test"], MESSAGE)

        def arrived():
            p = self.pop3()
            count = p.stat()[0]
            if count:
                return p
            p.quit()
        p = wait_for(arrived, "the message: " + self.m.text())

        lines = p.retr(1)[1]
        self.assertEqual(lines[lines.index(b"") + 1:], [b"Hello."])
        owners = self.owners()
        p.quit()
        for program, user in (("smtpd", "smtpd"), ("cleanup", "cleanup"), ("qmgr", "qmgr"), ("virtual", "local"),
                              ("pop3d", "login"), ("auth", "auth")):
            self.assertEqual(owners.get(program), {7000 + USERS.index(user)}, program)
        self.assertEqual(owners.get("deliver"), {0})
        self.assertEqual(owners.get("pop3box"), {OWNER})
        self.assertEqual(self.m.stop(), 0, self.m.text())

    def owners(self):
        """Program -> uids, of all processes below this master."""
        parents, found = {self.m.process.pid}, {}
        for _ in range(3):
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    status = open(f"/proc/{pid}/status").read()
                except OSError:
                    continue
                if int(re.search(r"PPid:\t(\d+)", status).group(1)) in parents:
                    parents.add(int(pid))
                    name = re.search(r"Name:\t(.*)", status).group(1)
                    found.setdefault(name, set()).update(int(u) for u in re.search(r"Uid:\t(.*)", status).group(1).split())
        return found


if __name__ == "__main__":
    unittest.main()
