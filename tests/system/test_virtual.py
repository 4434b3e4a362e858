"""Delivery to virtual mailboxes, as the embedded default has them."""
import os, pathlib, re, signal, unittest

from merpati import Server, wait_for


def descendants(pid):
    """{pid: name} of all processes below it"""
    parents = {}
    for p in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = re.match(r"\d+ \((.*)\) (.*)", p.read_text(), re.S).groups()
        except (OSError, AttributeError):
            continue
        parents[int(p.parent.name)] = (int(rest.split()[1]), name)
    found, new = {}, {pid}
    while new:
        new = {p for p, (parent, _) in parents.items() if parent in new}
        found |= {p: parents[p][1] for p in new}
    return found


class Virtual(unittest.TestCase):
    def send(self, s, subject):
        with s.smtp() as client:
            client.sendmail("sender@remote.test", ["alice@example.test"], f"Subject: {subject}\r\n\r\nHello.\r\n")

    def subjects(self, s):
        box = s.pop3()
        found = [line.decode() for i in range(len(box.list()[1])) for line in box.retr(i + 1)[1]
                 if line.startswith(b"Subject:")]
        box.quit()
        return sorted(found)

    def test_does_not_wait_for_ever_for_a_mailbox_process(self):
        with Server("-o", "ipc_timeout=1s", "-o", "minimal_backoff_time=1s", "-o", "maximal_backoff_time=1s",
                    "-o", "queue_run_delay=1s") as s:
            self.send(s, "first")
            wait_for(lambda: "status=sent" in s.log(), "the first message")
            writer = [pid for pid, name in descendants(s.process.pid).items() if name == "mailbox"]
            self.assertEqual(len(writer), 1, s.log())
            os.kill(writer[0], signal.SIGSTOP)
            try:
                self.send(s, "second")
                wait_for(lambda: re.search(r"status=deferred \(the mailbox process gave no answer", s.log()), "a verdict")
            finally:
                os.kill(writer[0], signal.SIGCONT)
            wait_for(lambda: len(re.findall("status=sent", s.log())) == 2, "the second message")

            self.assertEqual(self.subjects(s), ["Subject: first", "Subject: second"], "each once, however often it was tried")


if __name__ == "__main__":
    unittest.main()
