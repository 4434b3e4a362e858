"""The real cleanup under the real master: submit_host speaks for smtpd, hear_broker for qmgr."""
import os, re, shutil, signal, socket, struct, subprocess, time, unittest

from merpati import BUILD, HELPERS, Client, Master, wait_for

LOCAL_REWRITE, BOUNCE, EXTRACT = 2, 4, 8
TEXT = b"Received: from client by mail.example.test; now\nSubject: hello\nFrom: a@example.test\n\nbody\n"


class Cleanup(Master):
    """processes: how many cleanup processes; 1: all that is submitted meets in one."""

    def __init__(self, main="", processes=1, before_start=None):
        super().__init__(main, start=False)
        cf = self.etc / "master.cf"
        cf.write_text(cf.read_text().replace("cleanup unix n - n - 0 cleanup", f"cleanup unix n - n - {processes} cleanup"))
        for name, source in (("cleanup", BUILD / "libexec" / "cleanup"), ("rewrite", BUILD / "libexec" / "rewrite"),
                             ("proxymap", BUILD / "libexec" / "proxymap"), ("smtpd", HELPERS / "submit_host"),
                             ("qmgr", HELPERS / "hear_broker")):
            (self.libexec / name).unlink(missing_ok=True)
            shutil.copy(source, self.libexec / name)
        if before_start:
            before_start(self)
        self.start()

    def submit(self, client, text=TEXT, sender="s@example.test", recipients="r@example.test", flags=0):
        client.file.write(f"submit {flags} {sender or '<>'} {recipients or '-'} {len(text)}\r\n".encode() + text)
        client.file.flush()
        return client.read().split(" ", 3)

    def heard(self, what, count=1):
        """the fields of each notice that qmgr got, as dicts"""
        lines = self.wait_text(rf"heard from cleanup/\d+: {what}(.*)", count)
        return [dict(re.findall(r" (\w+)=<?([^ >]*)>?", line)) for line in lines]

    def tell(self, *words):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.spool / "public" / "qmgr"))
            s.sendall((" ".join(str(w) for w in words) + "\n").encode())

    def segments(self):
        return sorted(self.spool.glob("intake/*/[0-9]*"))

    def files(self):
        return sorted(self.spool.glob("queue/*"))

    def stored(self, id):
        """The text of a message, wherever it lies."""
        if (self.spool / "queue" / id).exists():
            return text_of((self.spool / "queue" / id).read_bytes(), 0, id)
        for s in self.segments():
            data = s.read_bytes()
            at = data.find(b"MrpR")
            while at >= 0:
                if data[at + 40:at + 64].rstrip(b"\0").decode() == id:
                    return text_of(data, at, id)
                at = data.find(b"MrpR", at + 8)
        return None

    def cleanup_pid(self):
        return int(wait_for(lambda: self.processes("cleanup"), "a cleanup process")[0]["pid"])


def text_of(data, at, id):
    """Reads a record as lib/queue/envelope.h describes it."""
    magic, version, _, generation, length, text, envelope, _ = struct.unpack_from("<IHHQQQII", data, at)
    assert magic == 0x5270724d and data[at + 40:at + 64].rstrip(b"\0").decode() == id
    begin = at + 64 + envelope + 8
    return data[begin:begin + text]


class Store(unittest.TestCase):
    def test_message_is_in_the_log_when_it_is_acknowledged(self):
        with Cleanup() as m, m.client() as c:
            answer = m.submit(c)

            self.assertEqual(answer[0], "0", answer)
            self.assertEqual(m.stored(answer[2]), TEXT)
            arrived = m.heard("arrived")[-1]
            self.assertEqual(arrived["id"], answer[2])
            self.assertNotEqual(arrived["segment"], "0")
            self.assertRegex(m.text(), rf"postfix/cleanup\[\d+\]: {answer[2]}: message-id=<>")

    def test_large_message_is_a_file_of_its_own(self):
        text = TEXT + b"x" * 70 + b"\n"
        text += (b"y" * 70 + b"\n") * 20000
        with Cleanup() as m, m.client() as c:
            answer = m.submit(c, text)

            self.assertEqual(answer[0], "0", answer)
            self.assertEqual([f.name for f in m.files()], [answer[2]])
            self.assertEqual(m.stored(answer[2]), text)
            self.assertNotIn("segment", m.heard("arrived")[-1], "no place in the log")

    def test_what_is_missing_is_added_for_our_own_clients(self):
        with Cleanup("undisclosed_recipients_header = To: undisclosed-recipients:;") as m, m.client() as c:
            answer = m.submit(c, b"Subject: x\nBcc: secret@example.test\n\nbody\n", flags=LOCAL_REWRITE)

            text = m.stored(answer[2]).decode()
            self.assertRegex(text, rf"\nMessage-Id: <\d{{14}}\.{answer[2]}@mail\.example\.test>\n")
            self.assertRegex(text, r"\nDate: \w\w\w, [ \d]\d \w\w\w \d{4} ")
            self.assertIn("\nFrom: s@example.test\n", text)
            self.assertIn("\nTo: undisclosed-recipients:;\n", text)
            self.assertNotIn("secret", text)
            self.assertTrue(text.endswith("\n\nbody\n"))

    def test_recipients_come_from_the_header_where_asked(self):
        with Cleanup() as m, m.client() as c:
            answer = m.submit(c, b"To: A <a@example.test>, b@example.test\nBcc: c@example.test\n\nbody\n", recipients="",
                              flags=EXTRACT)

            self.assertEqual(answer[0], "0", answer)
            text = m.stored(answer[2]).decode()
            self.assertNotIn("Bcc", text)
            data = b"".join(s.read_bytes() for s in m.segments())
            for who in (b"a@example.test", b"b@example.test", b"c@example.test"):
                self.assertIn(who, data)

    def test_aliases_are_expanded_and_duplicates_dropped(self):
        with Cleanup("virtual_alias_domains =\nvirtual_alias_maps = inline:{ {all@example.test = a@example.test, "
                     "b@example.test, a@example.test} }") as m, m.client() as c:
            answer = m.submit(c, recipients="all@example.test")

            self.assertEqual(answer[0], "0", answer)
            data = b"".join(s.read_bytes() for s in m.segments())
            self.assertEqual(data.count(b"a@example.test\2"), 1)

    def test_mail_that_goes_round_is_refused(self):
        with Cleanup("hopcount_limit = 5") as m, m.client() as c:
            text = b"Received: by x; now\n"
            self.assertEqual(m.submit(c, text * 4 + b"\nbody\n")[0], "0")
            self.assertEqual(m.submit(c, text * 5 + b"\nbody\n")[:2], ["5", "5.4.6"])

    def test_message_over_the_limit_is_refused(self):
        with Cleanup("message_size_limit = 1000\nvirtual_mailbox_limit = 1000\nmailbox_size_limit = 1000") as m, \
                m.client() as c:
            self.assertEqual(m.submit(c, b"Subject: x\n\n" + b"y" * 987 + b"\n")[0], "0", "1000 octets")
            self.assertEqual(m.submit(c, b"Subject: x\n\n" + b"y" * 988 + b"\n")[:2], ["5", "5.3.4"])

    def test_message_without_recipients_is_refused(self):
        with Cleanup() as m, m.client() as c:
            self.assertEqual(m.submit(c, recipients="")[:2], ["5", "5.1.0"])

    def test_full_disk_is_told_before_the_message(self):
        with Cleanup("queue_minfree = 1000000000000000") as m, m.client() as c:
            self.assertEqual(c.ask("room 1000").split(" ", 3)[:2], ["4", "4.3.1"])
        with Cleanup() as m, m.client() as c:
            self.assertEqual(c.ask("room 1000").split()[0], "0")


class FullDisk(unittest.TestCase):
    """On a small file system of its own."""

    def mounted(self, size):
        def mount(m):
            m.spool.mkdir()
            done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", m.spool])
            if done.returncode != 0:
                self.skipTest("mounting is not allowed")
            self.addCleanup(subprocess.run, ["umount", "-l", m.spool], stderr=subprocess.DEVNULL)
        return mount

    @unittest.skipUnless(os.getuid() == 0, "needs root")
    def test_full_disk_refuses_large_mail_and_leaves_nothing_of_it(self):
        large = b"Subject: large\n\n" + (b"z" * 79 + b"\n") * 50000
        with Cleanup(before_start=self.mounted("48m")) as m, m.client() as c:
            accepted = []
            for _ in range(20):
                answer = m.submit(c, large)
                if answer[0] != "0":
                    break
                accepted.append(answer[2])

            # Either the caller got no file for its text, or the message got none.
            self.assertTrue(answer == ["lost"] or answer[:2] == ["4", "4.3.1"], answer)
            self.assertEqual(sorted(f.name for f in m.files()), sorted(accepted))
            self.assertEqual(m.submit(c)[0], "0", "the log has room of its own")
            (m.spool / "queue" / accepted[0]).unlink()
            wait_for(lambda: m.submit(c, large)[0] == "0", "room again")
            subprocess.run(["umount", "-l", m.spool], check=True)

    @unittest.skipUnless(os.getuid() == 0, "needs root")
    def test_disk_without_room_for_a_log_answers_full(self):
        with Cleanup(before_start=self.mounted("2m")) as m, m.client() as c:
            self.assertEqual(m.submit(c)[:2], ["4", "4.3.1"])
            self.assertEqual(m.segments(), [])
            subprocess.run(["umount", "-l", m.spool], check=True)


class Group(unittest.TestCase):
    def test_a_thousand_messages_at_once_share_their_syncs(self):
        with Cleanup() as m, m.client() as c:
            self.assertEqual(c.ask("flood 1000 2000"), "1000 stored, 0 refused, 0 lost")

            arrived = m.heard("arrived", 1000)
            self.assertEqual(len({a["id"] for a in arrived}), 1000)
            # A batch begins on a block of its own; what follows in it does not.
            batches = [a for a in arrived if int(a["offset"]) % 4096 == 0]
            self.assertLess(len(batches), 200)


class Qmgr(unittest.TestCase):
    def test_message_becomes_a_file_when_qmgr_asks(self):
        with Cleanup() as m, m.client() as c:
            answer = m.submit(c)
            a = m.heard("arrived")[-1]

            m.tell("spill", a["id"], a["segment"], a["generation"], a["offset"], a["length"])

            spilled = m.heard("spilled")[-1]
            self.assertEqual(spilled, {"id": answer[2]})
            self.assertEqual([f.name for f in m.files()], [answer[2]])
            self.assertEqual(text_of(m.files()[0].read_bytes(), 0, answer[2]), TEXT)

    def test_spill_of_what_is_not_there_is_answered(self):
        with Cleanup() as m, m.client() as c:
            m.submit(c)
            a = m.heard("arrived")[-1]

            m.tell("spill", a["id"], a["segment"], int(a["generation"]) + 1, a["offset"], a["length"])

            self.assertTrue(m.heard("spilled")[-1]["error"])
            self.assertEqual(m.files(), [])

    def test_recycled_segment_has_no_message_any_more(self):
        with Cleanup() as m, m.client() as c:
            m.submit(c)
            old = m.heard("arrived")[-1]
            os.kill(m.cleanup_pid(), signal.SIGKILL)
            wait_for(lambda: m.submit(c)[0] == "0", "the next cleanup")
            m.heard("intake", 2)

            m.tell("recycle", old["segment"], old["generation"])

            self.assertEqual(m.heard("recycled")[-1], {"segment": old["segment"], "generation": old["generation"]})

    def test_segment_that_is_being_written_is_not_recycled(self):
        with Cleanup() as m, m.client() as c:
            answer = m.submit(c)
            a = m.heard("arrived")[-1]

            m.tell("recycle", a["segment"], a["generation"])

            m.wait_text("is not recycled: it is in use")
            self.assertEqual(m.stored(answer[2]), TEXT)

    def test_pressure_holds_answers_back(self):
        with Cleanup() as m, m.client() as c:
            m.submit(c)
            m.tell("pressure", 700)
            wait_for(lambda: timed(m, c) > 0.6, "a slow answer", 5)
            m.tell("pressure", 0)
            wait_for(lambda: timed(m, c) < 0.3, "a fast answer", 5)

    def test_mail_is_stored_while_qmgr_is_away_and_the_log_is_announced_when_it_is_back(self):
        with Cleanup() as m, m.client() as c:
            m.submit(c)
            m.heard("intake")
            os.kill(int(m.processes("qmgr")[0]["pid"]), signal.SIGKILL)

            answer = m.submit(c)

            self.assertEqual(answer[0], "0", answer)
            self.assertEqual(m.stored(answer[2]), TEXT)
            m.heard("intake", 2)


class Crash(unittest.TestCase):
    def test_what_was_acknowledged_is_there_after_a_kill(self):
        with Cleanup() as m, m.client() as c:
            ids = [m.submit(c)[2] for _ in range(20)]
            for _ in range(5):
                os.kill(m.cleanup_pid(), signal.SIGKILL)
                ids.append(wait_for(lambda: (lambda a: a[2] if a[0] == "0" else None)(m.submit(c)), "the next cleanup"))

            for id in ids:
                self.assertEqual(m.stored(id), TEXT)

    def test_server_ends_while_answers_are_held_back(self):
        with Cleanup() as m, m.client() as c:
            m.submit(c)
            m.tell("pressure", 3000)
            m.wait_text("heard")
            self.assertEqual(m.stop(), 0)


def timed(m, c):
    begin = time.monotonic()
    m.submit(c)
    return time.monotonic() - begin
