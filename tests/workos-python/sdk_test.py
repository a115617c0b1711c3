"""WorkOS's own SDK for Python against the simulator. It is strict: an answer that lacks a member is an error.

WORKOS_SIMULATOR=target/release/workos-simulator .venv/bin/python sdk_test.py
"""

import http.server
import json
import os
import pathlib
import queue
import subprocess
import threading
import unittest
import urllib.request

from workos import WorkOSClient
from workos._errors import ConflictError, NotFoundError
from workos.events.models import EventSchemaUnknown
from workos.organizations.models import OrganizationDomainData

BINARY = os.environ["WORKOS_SIMULATOR"]
HISTORY = json.loads((pathlib.Path(__file__).parent.parent / "node" / "history.json").read_text())


class Receiver(http.server.BaseHTTPRequestHandler):
    """Whoever gets webhooks."""

    received = queue.Queue()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.received.put((self.headers["WorkOS-Signature"], body))

    def log_message(self, *_):
        pass


class SdkTest(unittest.TestCase):
    def setUp(self):
        # Each test has a simulator of its own: what the others did is not in it.
        self.simulator = subprocess.Popen([BINARY, "--port", "0"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.simulator.stdout.close)
        self.addCleanup(self.simulator.wait, timeout=10)
        self.addCleanup(self.simulator.terminate)
        self.url = self.simulator.stdout.readline().strip()
        self.workos = WorkOSClient(api_key="sk_test_demo", client_id="client_demo", base_url=self.url, max_retries=0)
        self.addCleanup(self.workos.close)

    def simulate(self, method, what, body):
        """Asks the simulator for something that WorkOS's API does not have."""
        headers = {"content-type": "application/json"}
        data = json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_simulator/{what}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def live_the_history(self):
        """Has everything happen that the simulator can do. Returns the ids that it has answered, by name."""
        ids = {}
        for name, change in HISTORY["changes"]:
            text = json.dumps(change)
            for known, value in ids.items():
                text = text.replace(f'"${known}"', json.dumps(value))
            ids[name] = self.simulate("POST", "changes", json.loads(text))["id"]
        return ids

    def test_every_event_is_as_the_sdk_wants_it(self):
        for dates in ["iso", "spaced"]:
            self.simulate("PUT", "events/settings", {"hold_back_ms": 0, "dates": dates})
            if dates == "iso":
                self.live_the_history()
            first = self.workos.events.list_events(events=HISTORY["events"], limit=7)
            events = list(first.auto_paging_iter())
            self.assertEqual(len({event.id for event in events}), len(events))
            self.assertEqual(sorted({event.event for event in events}), HISTORY["events"])
            for event in events:
                self.assertNotIsInstance(event, EventSchemaUnknown)

    def test_every_list_is_as_the_sdk_wants_it(self):
        ids = self.live_the_history()
        workos = self.workos
        organizations = list(workos.organizations.list_organizations(limit=2).auto_paging_iter())
        self.assertEqual(len(organizations), 6)
        self.assertEqual(organizations[0].external_id, "piper")
        (connection,) = workos.sso.list_connections(organization_id="org_acme").data
        self.assertEqual(connection.id, "conn_acme")

        (directory,) = workos.directory_sync.list_directories(organization_id="org_acme").data
        self.assertEqual(workos.directory_sync.get_directory(directory.id), directory)
        users = list(workos.directory_sync.list_users(directory=ids["directory"], limit=1).auto_paging_iter())
        self.assertEqual([user.idp_id for user in users], ["okta-anton", "okta-robot", "okta-anna", "okta-alice"])
        self.assertEqual([group.name for group in users[3].groups], ["Builders"])
        self.assertEqual(users[3].role.slug, "editor")
        self.assertEqual(workos.directory_sync.get_user(users[3].id), users[3])
        (group,) = workos.directory_sync.list_groups(directory=ids["directory"]).data
        self.assertEqual(workos.directory_sync.get_group(group.id), group)
        self.assertEqual(len(workos.directory_sync.list_users(group=group.id).data), 2)

        (user,) = workos.user_management.list_users(email="anton@acme.com").data
        self.assertEqual(workos.user_management.get_user(user.id), user)
        (session,) = workos.user_management.list_sessions(user.id).data
        self.assertEqual(session.id, "session_alone")
        workos.user_management.revoke_session(session_id=session.id)
        self.assertEqual(workos.user_management.list_sessions(user.id).data, [])
        memberships = workos.organization_membership.list_organization_memberships
        (membership,) = memberships(organization_id="org_acme", statuses=["active", "inactive"]).data
        self.assertEqual((membership.role.slug, membership.user.id), ("editor", "user_anton"))
        self.assertEqual(workos.organization_membership.get_organization_membership(membership.id), membership)
        (role,) = workos.authorization.list_environment_roles().data
        self.assertEqual(role.permissions, ["posts:read", "posts:write"])
        self.assertEqual(len(workos.authorization.list_organization_roles("org_acme").data), 1)

    def test_a_customer_is_set_up(self):
        workos = self.workos
        domain = OrganizationDomainData(domain="piper.example", state="verified")
        made = workos.organizations.create_organization(
            name="Piper", external_id="7", metadata={"plan": "gold"}, domain_data=[domain]
        )
        self.assertEqual(workos.organizations.get_organization_by_external_id("7"), made)
        with self.assertRaises(ConflictError):
            workos.organizations.create_organization(name="Again", domain_data=[domain])
        renamed = workos.organizations.update_organization(made.id, name="Pied Piper", external_id=None)
        self.assertEqual((renamed.name, renamed.external_id, renamed.metadata), ("Pied Piper", None, {"plan": "gold"}))

        domains = workos.organization_domains
        added = domains.create_organization_domain(organization_id=made.id, domain="piper.test")
        self.assertEqual(domains.get_organization_domain(added.id), added)
        domains.verify_organization_domain(added.id)
        domains.delete_organization_domain(added.id)

        link = workos.admin_portal.generate_link(organization=made.id, intent="sso", return_url="https://app.example/")
        self.assertTrue(link.link.startswith("https://"))
        contact = workos.organizations.create_it_contact(made.id, email="it@piper.example")
        self.assertEqual(workos.organizations.list_it_contacts(made.id).data, [contact])
        workos.organizations.invite_it_contact(made.id, contact.id, intents=["sso", "directory_sync"])
        with self.assertRaises(ConflictError):
            workos.organizations.invite_it_contact(made.id, contact.id, intents=["sso"])
        workos.organizations.revoke_it_contact(made.id, contact.id)
        workos.organizations.delete_it_contact(made.id, contact.id)
        workos.organizations.delete_organization(made.id)
        with self.assertRaises(NotFoundError):
            workos.organizations.get_organization(made.id)

    def test_a_webhook_is_signed_as_the_sdk_wants_it(self):
        server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
        threading.Thread(target=server.serve_forever).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        workos = self.workos
        endpoint = workos.webhooks.create_webhook_endpoint(
            endpoint_url=f"http://127.0.0.1:{server.server_port}/", events=["user.created"]
        )
        self.assertEqual(workos.webhooks.list_webhook_endpoints().data, [endpoint])
        made = self.simulate("POST", "changes", {"create_user": {"email": "anna@acme.com"}})
        signature, body = Receiver.received.get(timeout=10)
        event = workos.webhooks.verify_event(event_body=body, event_signature=signature, secret=endpoint.secret)
        self.assertEqual(event.data.id, made["id"])
        with self.assertRaises(ValueError):
            workos.webhooks.verify_event(event_body=body + b" ", event_signature=signature, secret=endpoint.secret)
        workos.webhooks.delete_webhook_endpoint(endpoint.id)


if __name__ == "__main__":
    unittest.main()
