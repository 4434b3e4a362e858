"""A remote mail server that says what a test wants it to say.

    with Remote(keywords=["PIPELINING", "SIZE 1000"], replies={"RCPT": "450 4.2.0 later"}) as r:
        ... r.port ...
        r.wait_messages(1)[0].text

A reply is a string (without its line end), a list of them (one for each use, the last one again and again), or a
function of the session and the line; None closes the connection, bytes go out as they are."""
import pathlib, socket, threading

from merpati import PATIENCE, wait_for


class Message:
    def __init__(self):
        self.mail, self.rcpts, self.text = None, [], b""


class Session:
    """One connection; commands holds the lines that came."""

    def __init__(self, remote, sock):
        self.remote, self.socket = remote, sock
        self.file = sock.makefile("rwb")
        self.commands, self.message, self.count = [], None, {}

    def say(self, key, line, usual):
        """result: the code that was said, or None where the connection ends"""
        reply = self.remote.replies.get(key, usual)
        n = self.count[key] = self.count.get(key, -1) + 1
        if isinstance(reply, (list, tuple)):
            reply = reply[min(n, len(reply) - 1)]
        if callable(reply):
            reply = reply(self, line)
        if reply is None:
            return None
        if isinstance(reply, str):
            reply = reply.encode() + b"\r\n"
        self.file.write(reply)
        self.file.flush()
        return reply[:3].decode(errors="replace") if len(reply) >= 3 else ""

    def hello(self, line):
        words = line.split()
        extended = words[0].upper() in ("EHLO", "LHLO")
        lines = [self.remote.name] + (self.remote.keywords if extended else [])
        return self.say(words[0].upper(), line, "\r\n".join(
            f"250{'-' if i + 1 < len(lines) else ' '}{text}" for i, text in enumerate(lines)))

    def data(self, line):
        code = self.say("DATA", line, "354 go on")
        if code != "354":
            return code
        lines = []
        for line in self.file:
            if line == b".\r\n":
                break
            lines.append(line)
        else:
            return None
        self.message.text = b"".join(l[1:] if l.startswith(b".") else l for l in lines)
        taken = self.message.accepted if self.remote.lmtp else [None]
        for rcpt in taken:
            code = self.say("DOT", rcpt or "", "250 2.0.0 Ok: queued as REMOTE")
            if code is None:
                return None
            if code.startswith("2") and self.message not in self.remote.messages:
                self.remote.messages.append(self.message)
        self.message = None
        return code

    def command(self, line):
        verb = line.split(":")[0].split()[0].upper() if line.split() else ""
        self.commands.append(line)
        if verb in ("EHLO", "HELO", "LHLO"):
            return self.hello(line)
        if verb == "MAIL":
            self.message = Message()
            self.message.mail, self.message.accepted = line, []
            return self.say("MAIL", line, "250 2.1.0 Ok")
        if verb == "RCPT":
            code = self.say("RCPT", line, "250 2.1.5 Ok")
            if code and code.startswith("2"):
                self.message.accepted.append(line)
                self.message.rcpts.append(line)
            return code
        if verb == "DATA":
            return self.data(line)
        if verb == "QUIT":
            self.say("QUIT", line, "221 2.0.0 Bye")
            return None
        return self.say(verb, line, "250 2.0.0 Ok")

    def run(self):
        try:
            if self.say("GREETING", "", f"220 {self.remote.name} ESMTP") is None:
                return
            for line in self.file:
                if self.command(line.decode("utf-8", "replace").rstrip("\r\n")) is None:
                    return
        except (OSError, ValueError):
            pass
        finally:
            self.socket.close()


class Remote:
    def __init__(self, replies=None, keywords=("PIPELINING", "8BITMIME", "SIZE 100000000", "ENHANCEDSTATUSCODES",
                                               "DSN", "SMTPUTF8"),
                 name="remote.test", lmtp=False, path=None, host="127.0.0.1", port=0):
        self.replies, self.keywords, self.name, self.lmtp = replies or {}, list(keywords), name, lmtp
        self.sessions, self.messages = [], []
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(str(path))
            pathlib.Path(path).chmod(0o666)
            self.port = None
        else:
            self.socket = socket.create_server((host, port))
            self.port = self.socket.getsockname()[1]
        self.socket.listen(100)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return
            sock.settimeout(PATIENCE * 3)
            session = Session(self, sock)
            self.sessions.append(session)
            threading.Thread(target=session.run, daemon=True).start()

    def wait_messages(self, count=1):
        wait_for(lambda: len(self.messages) >= count, f"{count} messages at the remote server")
        return self.messages

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
        for s in self.sessions:
            try:
                s.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
