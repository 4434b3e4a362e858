"""make install: what lands where, and that it works from there."""
import os, pathlib, shutil, subprocess, tempfile, unittest

from merpati import BUILD, Client, Server, StandIns

INSTALL = pathlib.Path(__file__).resolve().parents[2] / "packaging" / "install"
AS_NOBODY = {"user": 65534, "group": 65534, "extra_groups": []} if os.getuid() == 0 else {}


def install(dest, prefix="/usr/local", sysconf="/etc", state="/var"):
    return subprocess.run([INSTALL, BUILD, dest, prefix, sysconf, state], capture_output=True, text=True, timeout=60)


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dest = pathlib.Path(tempfile.mkdtemp(prefix="merpati-install."))
        cls.dest.chmod(0o755)
        cls.result = install(cls.dest)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.dest, ignore_errors=True)

    def test_puts_everything_below_destdir(self):
        self.assertEqual(self.result.returncode, 0, self.result.stderr)
        for path in ("usr/local/sbin/merpati", "usr/local/sbin/postalias", "usr/local/bin/newaliases",
                     "usr/local/libexec/merpati/master", "usr/local/lib/sysusers.d/merpati.conf",
                     "usr/local/lib/systemd/system/merpati.service", "etc/merpati/main.cf", "etc/merpati/master.cf"):
            self.assertTrue((self.dest / path).exists(), path)
        self.assertEqual((self.dest / "etc/merpati/passwd").stat().st_mode & 0o777, 0o600)

    def test_leaves_no_placeholder_and_no_temporary_name(self):
        for path in self.dest.rglob("*"):
            self.assertFalse(path.name.endswith(".new"), path)
            if path.is_file() and "libexec" not in path.parts and "sbin" not in path.parts:
                for mark in ("@PREFIX@", "@CONFIG@", "@STATE@", "@SYSCONFDIR@"):
                    self.assertNotIn(mark, path.read_text(errors="replace"), path)

    def test_keeps_configuration_that_is_there(self):
        main = self.dest / "etc/merpati/main.cf"
        before = main.read_text()
        main.write_text(before + "myhostname = mail.example.test\n")

        again = install(self.dest)

        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertIn("/etc/merpati/main.cf", again.stdout)
        self.assertTrue(main.read_text().endswith("myhostname = mail.example.test\n"))
        self.assertEqual((self.dest / "usr/local/share/doc/merpati/examples/main.cf").read_text(), before)
        main.write_text(before)

    def test_refuses_relative_directories(self):
        self.assertEqual(install(self.dest, prefix="usr").returncode, 1)
        self.assertEqual(install(self.dest, state="/var lib").returncode, 1)

    def test_takes_other_directories_over_into_the_files(self):
        with tempfile.TemporaryDirectory() as dest:
            result = install(dest, "/opt/mail", "/opt/etc", "/opt/var")

            self.assertIn("-c /opt/etc/merpati", result.stdout)
            self.assertIn("queue_directory = /opt/var/spool/merpati", (pathlib.Path(dest) / "opt/etc/merpati/main.cf").read_text())
            unit = (pathlib.Path(dest) / "opt/mail/lib/systemd/system/merpati.service").read_text()
            self.assertIn("ExecStart=/opt/mail/sbin/merpati start -c /opt/etc/merpati", unit)


class Installed(unittest.TestCase):
    """With stand-ins for the programs that master starts."""

    @classmethod
    def setUpClass(cls):
        cls.dest = pathlib.Path(tempfile.mkdtemp(prefix="merpati-install."))
        cls.dest.chmod(0o755)
        install(cls.dest)
        cls.libexec = cls.dest / "usr/local/libexec/merpati"
        StandIns.install(cls.libexec)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.dest, ignore_errors=True)

    def test_command_finds_the_installed_programs(self):
        with Server(program=self.dest / "usr/local/sbin/merpati") as s:
            with Client(s.smtp_port) as c:
                self.assertTrue(c.greeting.startswith("220"))

    def test_configuration_is_right(self):
        result = subprocess.run([self.libexec / "master", "-t", "-c", self.dest / "etc/merpati"], capture_output=True,
                                text=True, timeout=60, **AS_NOBODY)

        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stderr, "", "nothing of it is doubtful")


if __name__ == "__main__":
    unittest.main()
