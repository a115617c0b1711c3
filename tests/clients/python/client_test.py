"""Supabase's client for Python, unmodified, against the gateway: `supabase-auth` of PyPI.

Runs inside tools/with-gateway.sh, beside a throw-away cluster and a stand-in for WorkOS.
"""

import json
import os
import subprocess
import unittest
import urllib.error
import urllib.parse
import urllib.request
import uuid

from supabase_auth import SyncGoTrueClient, SyncMemoryStorage
from supabase_auth.errors import AuthApiError, AuthImplicitGrantRedirectError, AuthRetryableError

GATEWAY_URL = os.environ["GATEWAY_URL"]
SIMULATOR_URL = os.environ["SIMULATOR_URL"]
SITE_URL = os.environ["SITE_URL"]
PAGE = f"{SITE_URL}/welcome"
DEEP_LINK = "com.example.app://login-callback"


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A browser that shows every step."""

    def redirect_request(self, *_):
        return None


# ANCHOR: client
def client(flow_type="pkce"):
    """What an application makes once."""
    return SyncGoTrueClient(
        url=GATEWAY_URL, flow_type=flow_type, auto_refresh_token=False, storage=SyncMemoryStorage()
    )
# ANCHOR_END: client


def browse(url, email):
    """From a sign-in's URL to the application, as this person; the cookies are the gateway's. Returns where the browser ends."""
    opener = urllib.request.build_opener(NoRedirect)
    cookies = {}
    for _ in range(10):
        if url.startswith(SIMULATOR_URL):
            url += "&" + urllib.parse.urlencode({"login_hint": email})
        elif not url.startswith(GATEWAY_URL):
            return url
        header = "; ".join(f"{name}={value}" for name, value in cookies.items())
        request = urllib.request.Request(url, headers={"Cookie": header} if url.startswith(GATEWAY_URL) else {})
        try:
            answer = opener.open(request, timeout=30)
            raise AssertionError(f"{url} answers {answer.status} {answer.read()!r}")
        except urllib.error.HTTPError as error:
            location = error.headers.get("location")
            if not location:
                raise AssertionError(f"{url} answers {error.code} {error.read()!r}") from error
            for line in error.headers.get_all("set-cookie") or []:
                name, _, value = line.split(";")[0].partition("=")
                cookies[name] = value
            url = urllib.parse.urljoin(url, location)
    raise AssertionError(f"too many redirects: {url}")


def query(url):
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))


def somebody(connection="conn_acme", domain="acme.com"):
    """Somebody whom no other test knows."""
    name = uuid.uuid4().hex
    person = {
        "id": f"prof_{name}", "connection": connection, "email": f"p{name}@{domain}",
        "first_name": "Pat", "last_name": "Doe", "idp_id": name,
    }
    body = json.dumps(person).encode()
    request = urllib.request.Request(
        f"{SIMULATOR_URL}/_simulator/profiles", data=body, headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 204, answer.status
    return person["email"]


def as_superuser(sql):
    bindir = subprocess.run([os.environ["PG_CONFIG"], "--bindir"], check=True, capture_output=True, text=True).stdout.strip()
    command = [f"{bindir}/psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--command", sql]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


# ANCHOR: sign-in
def provider(redirect_to=PAGE, **parameters):
    return {"provider": "workos", "options": {"redirect_to": redirect_to, "query_params": parameters}}


def signed_in(email, auth=None):
    auth = auth or client()
    url = auth.sign_in_with_oauth(provider(organization="org_acme")).url
    auth.exchange_code_for_session({"auth_code": query(browse(url, email))["code"]})
    return auth
# ANCHOR_END: sign-in


class Client(unittest.TestCase):
    maxDiff = None

    def refused(self, code, call, *arguments, error=AuthApiError, status=None):
        with self.assertRaises(error) as caught:
            call(*arguments)
        self.assertEqual(caught.exception.code, code)
        if status:
            self.assertEqual(caught.exception.status, status)
        return caught.exception

    def test_a_sign_in_by_pkce(self):
        email = somebody()
        auth = signed_in(email)
        session = auth.get_session()
        self.assertEqual(session.user.email, email)
        self.assertTrue(session.provider_token)
        user = auth.get_user().user
        self.assertEqual((user.id, user.aud, user.role), (session.user.id, "authenticated", "authenticated"))
        self.assertEqual(user.user_metadata["full_name"], "Pat Doe")
        self.assertEqual(user.app_metadata, {"provider": "workos", "providers": ["workos"]})
        self.assertEqual(user.identities[0].provider, "workos")

    def test_a_sign_in_by_the_implicit_flow(self):
        email = somebody()
        auth = client("implicit")
        url = auth.sign_in_with_oauth(provider(organization="org_acme")).url
        # The client reads the query and takes the fragment for none: an application hands it over as one, as in a desktop app.
        page = browse(url, email).replace("#", "?")
        auth.initialize_from_url(page)
        self.assertEqual(auth.get_user().user.email, email)

    def test_a_deep_link(self):
        as_superuser("insert into auth.redirect_urls values ('com.example.app://**') on conflict do nothing")
        email = somebody()
        auth = client()
        end = browse(auth.sign_in_with_oauth(provider(DEEP_LINK, organization="org_acme")).url, email)
        self.assertTrue(end.startswith(f"{DEEP_LINK}?code="), end)
        auth.exchange_code_for_session({"auth_code": query(end)["code"]})
        self.assertEqual(auth.get_user().user.email, email)

    def test_claims_are_verified_and_complete(self):
        auth = signed_in(somebody())
        claims = auth.get_claims()["claims"]
        self.assertEqual((claims["role"], claims["org_id"], claims["iss"]), ("authenticated", "org_acme", GATEWAY_URL))
        self.assertEqual([set(entry) for entry in claims["amr"]], [{"method", "timestamp"}])

    def test_a_refresh(self):
        auth = signed_in(somebody())
        before = auth.get_session()
        after = auth.refresh_session().session
        self.assertNotEqual(after.refresh_token, before.refresh_token)
        self.assertEqual(after.user.id, before.user.id)
        # Another tab still has the one before.
        again = client().refresh_session(before.refresh_token).session
        self.assertEqual(again.user.id, before.user.id)

    def test_metadata(self):
        auth = signed_in(somebody())
        user = auth.update_user({"data": {"theme": "dark"}}).user
        self.assertEqual(user.user_metadata["theme"], "dark")
        self.assertEqual(auth.get_user().user.user_metadata["theme"], "dark")
        self.refused("validation_failed", auth.update_user, {"email": "mallory@acme.com"})

    def test_three_sign_outs(self):
        email = somebody()
        for scope, ends in [
            ("local", (True, False, False)),
            ("others", (False, True, True)),
            ("global", (True, True, True)),
        ]:
            with self.subTest(scope):
                clients = [signed_in(email), signed_in(email), signed_in(email)]
                tokens = [auth.get_session().refresh_token for auth in clients]
                clients[0].sign_out({"scope": scope})
                for token, ended in zip(tokens, ends):
                    if ended:
                        self.refused("refresh_token_not_found", client().refresh_session, token)
                    else:
                        client().refresh_session(token)

    def test_a_role_that_changes_meanwhile(self):
        email = somebody()
        auth = signed_in(email)
        session = auth.get_session()
        as_superuser(
            "update auth.organization_memberships set role = 'owner', roles = '{owner}' where user_id = "
            f"'{session.user.id}'"
        )
        # The account is shown, and a refresh brings the role.
        self.assertEqual(auth.get_user().user.email, email)
        auth.refresh_session()
        self.assertEqual(auth.get_claims()["claims"]["org_role"], "owner")
        # A sign-out with the older token ends the session all the same.
        as_superuser(
            "update auth.organization_memberships set role = 'member', roles = '{member}' where user_id = "
            f"'{session.user.id}'"
        )
        token = auth.get_session().refresh_token
        auth.sign_out()
        self.refused("refresh_token_not_found", client().refresh_session, token)

    def test_linking_and_unlinking(self):
        auth = signed_in(somebody())
        user_id = auth.get_session().user.id
        other = somebody()
        url = auth.link_identity(provider(organization="org_acme")).url
        auth.exchange_code_for_session({"auth_code": query(browse(url, other))["code"]})
        identities = auth.get_user_identities().identities
        self.assertEqual((auth.get_session().user.id, len(identities)), (user_id, 2))
        # What is linked already is told to the page, and the session goes on.
        end = browse(auth.link_identity(provider(organization="org_acme")).url, other)
        self.assertEqual(query(end)["error_code"], "identity_already_exists")
        linked = next(one for one in identities if one.identity_data["email"] == other)
        auth.unlink_identity(linked)
        # The session that the link was answered with has not ended with it.
        auth.refresh_session()
        left = auth.get_user_identities().identities
        self.assertEqual(len(left), 1)
        self.refused("single_identity_not_deletable", auth.unlink_identity, left[0])

    def test_linking_needs_pkce(self):
        email = somebody()
        auth = client("implicit")
        page = browse(auth.sign_in_with_oauth(provider(organization="org_acme")).url, email)
        auth.initialize_from_url(page.replace("#", "?"))
        self.refused("validation_failed", auth.link_identity, provider(organization="org_acme"))

    def test_what_workos_refuses(self):
        for organization, code in [("org_hooli", "connection_unlinked"), ("org_unknown", "organization_invalid")]:
            with self.subTest(organization):
                auth = client("implicit")
                page = browse(auth.sign_in_with_oauth(provider(organization=organization)).url, somebody())
                # Without an error_code, the client would not read on.
                with self.assertRaises(AuthImplicitGrantRedirectError) as caught:
                    auth.initialize_from_url(page.split("#")[0] + "&access_token=")
                self.assertEqual(caught.exception.details["code"], code)

    def test_errors_of_an_exchange(self):
        auth = client()
        end = browse(auth.sign_in_with_oauth(provider(organization="org_acme")).url, somebody())
        code = query(end)["code"]
        self.refused("bad_code_verifier", auth.exchange_code_for_session, {"auth_code": code, "code_verifier": "x" * 43})
        self.refused("flow_state_not_found", auth.exchange_code_for_session, {"auth_code": "wac_" + "x" * 43, "code_verifier": "x" * 43})
        auth.exchange_code_for_session({"auth_code": code})
        self.assertIsNotNone(auth.get_session())

    def test_errors_of_a_refresh(self):
        auth = signed_in(somebody())
        first = auth.get_session()
        self.refused("refresh_token_not_found", client().refresh_session, "a-token-of-another-server")
        second = auth.refresh_session().session
        auth.refresh_session()
        # Replaced twice a moment ago: to be tried again, and no end.
        with self.assertRaises(AuthRetryableError):
            client().refresh_session(first.refresh_token)
        as_superuser(f"update auth.sessions set refreshed_at = now() - interval '1 h' where user_id = '{first.user.id}'")
        self.refused("refresh_token_already_used", client().refresh_session, first.refresh_token)
        self.assertTrue(second)

    def test_errors_of_a_token(self):
        auth = signed_in(somebody())
        token = auth.get_session().access_token
        self.refused("bad_jwt", auth.get_user, token[:-4] + "AAAA", status=401)
        auth.sign_out({"scope": "global"})
        self.refused("session_not_found", client().get_user, token, status=401)

    def test_somebody_who_is_banned(self):
        auth = signed_in(somebody())
        user_id = auth.get_session().user.id
        as_superuser(f"update auth.users set banned_until = now() + interval '1 h' where id = '{user_id}'")
        self.refused("user_banned", auth.refresh_session, status=403)

    def test_single_sign_on_by_the_domain_of_an_organization(self):
        domain = f"{uuid.uuid4().hex}.example"
        as_superuser("insert into auth.organizations (id) values ('org_acme') on conflict do nothing")
        as_superuser(f"insert into auth.organization_domains (organization_id, domain) values ('org_acme', '{domain}')")
        url = urllib.parse.urlsplit(client().sign_in_with_sso({"domain": domain}).url)
        self.assertEqual(urllib.parse.parse_qs(url.query)["organization"], ["org_acme"])
        self.refused("sso_provider_not_found", client().sign_in_with_sso, {"domain": "nobody.example"}, status=404)

    def test_what_is_switched_off(self):
        auth = client()
        credentials = {"email": "pat@acme.com", "password": "correct horse"}
        for code, call, arguments in [
            ("email_provider_disabled", auth.sign_up, [credentials]),
            ("email_provider_disabled", auth.sign_in_with_password, [credentials]),
            ("anonymous_provider_disabled", auth.sign_in_anonymously, []),
            ("email_provider_disabled", auth.sign_in_with_otp, [{"email": "pat@acme.com"}]),
            ("phone_provider_disabled", auth.sign_in_with_otp, [{"phone": "+491234"}]),
            ("email_provider_disabled", auth.reset_password_for_email, ["pat@acme.com"]),
            ("otp_disabled", auth.verify_otp, [{"email": "pat@acme.com", "token": "123456", "type": "email"}]),
        ]:
            with self.subTest(call.__name__):
                self.refused(code, call, *arguments)
        auth = signed_in(somebody())
        self.refused("mfa_totp_enroll_not_enabled", auth.mfa.enroll, {"factor_type": "totp"})
        self.refused("email_provider_disabled", auth.reauthenticate)
        self.refused("no_authorization", auth.admin.list_users)


if __name__ == "__main__":
    unittest.main(verbosity=1)
