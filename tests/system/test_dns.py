"""Ways that are found in the DNS: dnsd beside a real name server, and mail by MX records."""
import os, signal, unittest

from merpati import free_port, wait_for
from nameserver import NameServer, ScriptedServer
from remote import Remote
from test_smtp_client import Client

ZONES = {
    "test": "",
    "good.test": "@ MX 20 second\n@ MX 10 first\nfirst A 127.0.0.2\nsecond A 127.0.0.1\n",
    "null.test": "@ MX 0 .\n",
    "host.test": "@ A 127.0.0.1\n",
    "empty.test": "www A 127.0.0.1\n",
    "alias.test": "@ MX 10 there\nthere CNAME here.host.test.\n",
    "bogus.test": "@ MX 10 mail\nmail A 127.0.0.1\n",
}


class Dns(Client):
    @classmethod
    def setUpClass(cls):
        zones = dict(ZONES, **{"host.test": ZONES["host.test"] + "here A 127.0.0.1\n"})
        cls.ns = NameServer(zones, signed=["test", "good.test", "bogus.test"])
        cls.addClassCleanup(cls.ns.close)
        cls.ns.spoil("bogus.test", "bogus.test", "MX")

    def resolving(self, port, main="", ns=None):
        ns = ns or self.ns
        anchors = getattr(ns, "anchors", "")
        return self.server(f"dnsd_forwarders = 127.0.0.1@{ns.port}\ndnsd_trust_anchor_files = {anchors}\n"
                           f"dnsd_insecure_domains =\nsmtp_tcp_port = {port}\ninet_protocols = ipv4\n{main}")


class Mail(Dns):
    def setUp(self):
        self.r = self.remote()

    def test_goes_to_the_best_exchanger_that_answers(self):
        m = self.resolving(self.r.port)

        # Nobody listens on 127.0.0.2.
        relay, dsn, status, text = self.verdict(m, self.send(m, "user@good.test"))

        self.assertEqual((relay, status), (f"second.good.test[127.0.0.1]:{self.r.port}", "sent"), text)
        best = self.remote(host="127.0.0.2", port=self.r.port)
        relay, dsn, status, text = self.verdict(m, self.send(m, "user@good.test"))
        self.assertEqual((relay, status), (f"first.good.test[127.0.0.2]:{self.r.port}", "sent"), text)
        self.assertEqual(len(best.messages), 1)

    def test_goes_to_the_address_of_a_domain_without_exchangers(self):
        m = self.resolving(self.r.port)

        relay, dsn, status, text = self.verdict(m, self.send(m, "user@host.test"))

        self.assertEqual((relay, status), (f"host.test[127.0.0.1]:{self.r.port}", "sent"), text)

    def test_goes_to_an_exchanger_by_its_alias(self):
        m = self.resolving(self.r.port)

        relay, dsn, status, text = self.verdict(m, self.send(m, "user@alias.test"))

        self.assertEqual(status, "sent", text)

    def test_comes_back_where_it_is_proven_that_nobody_takes_it(self):
        m = self.resolving(self.r.port)
        for says, domain, want in (
                ("null MX", "null.test", ("5.1.10", "bounced", "Domain null.test does not accept mail (nullMX)")),
                ("no such domain", "nowhere.test", ("5.4.4", "bounced",
                 "Host or domain name not found. Name service error for name=nowhere.test type=A: Host not found")),
                ("neither MX nor address", "empty.test", ("5.4.4", "bounced",
                 "Host or domain name not found. Name service error for name=empty.test type=A: "
                 "Host found but no data record of requested type"))):
            with self.subTest(says):
                self.assertEqual(self.verdict(m, self.send(m, "user@" + domain)), ("none", *want))

    def test_waits_where_a_signature_is_wrong(self):
        m = self.resolving(self.r.port)

        relay, dsn, status, text = self.verdict(m, self.send(m, "user@bogus.test"))

        self.assertEqual((dsn, status), ("4.4.3", "deferred"), text)
        self.assertIn("name=bogus.test type=MX: Host not found, try again (", text)

    def test_goes_there_all_the_same_where_signatures_are_not_checked(self):
        m = self.resolving(self.r.port, "dnsd_validation = no")

        relay, dsn, status, text = self.verdict(m, self.send(m, "user@bogus.test"))

        self.assertEqual(status, "sent", text)

    def test_waits_where_the_name_server_fails(self):
        for says, answer in (("SERVFAIL", lambda q: q.reply("SERVFAIL")), ("REFUSED", lambda q: q.reply("REFUSED"))):
            with self.subTest(says):
                ns = ScriptedServer(answer)
                self.addCleanup(ns.close)
                m = self.resolving(self.r.port, "dnsd_validation = no", ns)

                relay, dsn, status, text = self.verdict(m, self.send(m, "user@some.test"))

                self.assertEqual((dsn, status), ("4.4.3", "deferred"), text)
                self.assertTrue(ns.questions)

    def test_waits_where_the_resolver_ends_and_goes_on_with_the_next(self):
        held = []
        ns = ScriptedServer(lambda q: held.append(q) if len(held) < 1 else q.reply("NXDOMAIN"))
        self.addCleanup(ns.close)
        m = self.resolving(self.r.port, "dnsd_validation = no", ns)
        m.faults = "dnsd"
        queue_id = self.send(m, "user@some.test")
        wait_for(lambda: held, "a question")

        for process in m.processes("dnsd"):
            os.kill(int(process["pid"]), signal.SIGKILL)

        relay, dsn, status, text = self.verdict(m, queue_id)
        self.assertIn(status, ("bounced", "deferred"), text)


class Files(Dns):
    def test_a_changed_resolv_conf_is_noticed(self):
        r = self.remote()
        m = self.resolving(r.port)
        conf = m.dir / "resolv.conf"
        conf.write_text(f"nameserver 127.0.0.1@{free_port()}\n")
        m.stop()
        m = self.resolving(r.port, f"dnsd_forwarders = resolv.conf\ndnsd_resolv_conf_file = {conf}\n"
                                   "minimal_backoff_time = 1s\nmaximal_backoff_time = 1s\nqueue_run_delay = 1s")
        queue_id = self.send(m, "user@host.test")
        m.wait_text(rf"{queue_id}: to=<.*status=deferred")

        conf.write_text(f"nameserver 127.0.0.1@{self.ns.port}\n")

        m.wait_text(rf"{queue_id}: to=<.*status=sent")

    def test_the_hosts_file_is_asked_where_the_configuration_wants_it(self):
        r = self.remote()
        hosts = self.ns.dir / "hosts"
        hosts.write_text("127.0.0.1 inhouse.example\n")
        m = self.resolving(r.port, f"dnsd_hosts_file = {hosts}\nsmtp_host_lookup = native\n"
                                   f"relayhost = [inhouse.example]:{r.port}")

        relay, dsn, status, text = self.verdict(m, self.send(m, "user@anywhere.example"))

        self.assertEqual((relay, status), (f"inhouse.example[127.0.0.1]:{r.port}", "sent"), text)


if __name__ == "__main__":
    unittest.main()
