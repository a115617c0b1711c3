"""Login with WorkOS, done by the database: Flask and psycopg.

    psql -f ../schema.sql       and auth.configure_workos(redirect_uri => 'http://127.0.0.1:3000/callback', …)
    DATABASE_URL=postgres://app@localhost/app python app.py

PUBLIC_URL is the address that browsers use, if it is another: https://app.example.com
"""

import os
from contextlib import contextmanager
from hashlib import sha256

import psycopg
from flask import Flask, abort, g, jsonify, redirect, render_template_string, request
from psycopg_pool import ConnectionPool
from waitress import create_server
from werkzeug.exceptions import HTTPException

app = Flask(__name__)
pool = ConnectionPool(os.environ["DATABASE_URL"], max_size=10, open=True)

# Cookies are not signed: the database verifies the token at every use, and a verifier is good for nothing but the flow
# of its own state. SameSite=Lax keeps other sites' forms from using them; the callback, a link, still gets its own.
SECURE = os.environ.get("PUBLIC_URL", "").startswith("https:")
SESSION_COOKIE = {"path": "/", "httponly": True, "samesite": "Lax", "secure": SECURE}
FLOW_COOKIE = SESSION_COOKIE | {"path": "/callback"}
REFRESH_TTL = 7 * 24 * 3600  # as long as workos_auth.session_ttl


def flow_name(state):
    """One cookie a flow, so that two tabs can sign in at the same time."""
    return f"flow_{sha256(state.encode()).hexdigest()[:16]}"


# ANCHOR: as-user
@contextmanager
def as_user(token):
    """One transaction as the person whose token it is. The next user of the pooled connection finds neither role nor
    session: both end with the transaction."""
    if not token:
        abort(401, "Nobody is signed in.")
    with pool.connection() as db:  # commits at the end, rolls back when something is raised
        db.execute("set local role authenticated")
        db.execute("select auth.set_session(%s)", [token])
        yield db
# ANCHOR_END: as-user


# ANCHOR: refresh
@app.before_request
def refresh():
    """A browser drops the cookie of an access token when the token expires. The refresh token then gets the next one."""
    g.token, refresh_token = request.cookies.get("session"), request.cookies.get("refresh")
    # Who is about to sign in needs no session.
    if g.token or not refresh_token or request.path in ("/login", "/callback"):
        return
    try:
        with pool.connection() as db:
            g.session = db.execute(
                """select access_token, refresh_token, expires_at
                   from auth.refresh_session(refresh_token => %s, ip => %s, user_agent => %s)""",
                [refresh_token, request.remote_addr, request.headers.get("user-agent")],
            ).fetchone()
    except psycopg.Error as error:
        # Refused: the person signs in again. Trouble passes, and so does WA207, of tabs that refresh at the same time.
        if (error.sqlstate or "").startswith(("WA4", "WA5")) or isinstance(error, psycopg.DataError):
            abort(401, error.diag.message_primary or "Nobody is signed in.")
        raise
    g.token = g.session[0]


@app.after_request
def keep_session(response):
    """Both tokens of a sign-in or a refresh take the place of those before."""
    if session := g.get("session"):
        access_token, refresh_token, expires_at = session
        response.set_cookie("session", access_token, expires=expires_at, **SESSION_COOKIE)
        response.set_cookie("refresh", refresh_token, max_age=REFRESH_TTL, **SESSION_COOKIE)
    return response
# ANCHOR_END: refresh


@app.get("/")
def home():
    token = g.token
    if not token:
        return page()
    with as_user(token) as db:
        email, organization = db.execute("select auth.email(), auth.organization_id()").fetchone()
        todos = db.execute("select title from todos order by id").fetchall()
    return page(email=email, organization=organization, todos=todos)


# ANCHOR: login
@app.get("/login")
def login():
    with pool.connection() as db:
        url, state, verifier = db.execute(
            "select url, state, code_verifier from auth.start_sign_in(organization => %s, redirect_to => %s)",
            [request.args.get("organization"), request.args.get("redirect_to")],
        ).fetchone()
    response = redirect(url)
    response.set_cookie(flow_name(state), f"{state}.{verifier}", max_age=900, **FLOW_COOKIE)
    return response
# ANCHOR_END: login


# ANCHOR: callback
@app.get("/callback")
def callback():
    state = request.args.get("state", "")
    name = flow_name(state)
    # Only the browser that began a sign-in may finish it; nobody else can even make this page say something.
    own_state, _, verifier = request.cookies.get(name, "").partition(".")
    if not state or state != own_state:
        abort(400, "This sign-in was not begun in this browser, or it is over.")
    if error := request.args.get("error"):
        response = refusal(400, f"WorkOS says {error}: {request.args.get('error_description', '')}")
        response.delete_cookie(name, **FLOW_COOKIE)
        return response
    with pool.connection() as db:
        *g.session, redirect_to = db.execute(
            """select access_token, refresh_token, expires_at, redirect_to
               from auth.exchange_code(code => %s, verifier => %s, state => %s, ip => %s, user_agent => %s)""",
            [request.args.get("code"), verifier, state, request.remote_addr, request.headers.get("user-agent")],
        ).fetchone()
    response = redirect(redirect_to or "/")  # checked against auth.redirect_urls when the sign-in began
    response.delete_cookie(name, **FLOW_COOKIE)
    return response
# ANCHOR_END: callback


# ANCHOR: logout
@app.post("/logout")
def logout():
    if not g.token:
        abort(401, "Nobody is signed in.")
    with pool.connection() as db:
        db.execute("select auth.sign_out(%s)", [g.token])  # everywhere; 'local' as a second argument for here only
    g.session = None
    response = redirect("/", 303)
    response.delete_cookie("session", **SESSION_COOKIE)
    response.delete_cookie("refresh", **SESSION_COOKIE)
    return response
# ANCHOR_END: logout


@app.get("/todos")
def read_todos():
    with as_user(g.token) as db:
        rows = db.execute("select id, title from todos order by id").fetchall()
    return jsonify([{"id": id, "title": title} for id, title in rows])


@app.post("/todos")
def add_todo():
    with as_user(g.token) as db:
        db.execute("insert into todos (title) values (%s)", [request.form.get("title")])
    return redirect("/", 303)


# ANCHOR: errors
@app.errorhandler(psycopg.Error)
def database_error(error):
    """The SQLSTATE as an HTTP status; the view auth.error_codes lists them one by one."""
    code = error.sqlstate or ""
    if code in ("WA508", "WA510"):  # expired, or older than the person's rights: the next request refreshes it
        return refusal(401, error.diag.message_primary, keep_refresh_token=True)
    if code.startswith("WA5"):  # no good session any more
        return refusal(401, error.diag.message_primary)
    if code.startswith(("WA0", "WA2", "WA4", "WA304", "22", "23")):  # what the browser sent, or who it is, does not do
        return refusal(400, error.diag.message_primary)
    if isinstance(error, psycopg.DataError):  # psycopg refuses a value before it is sent
        return refusal(400, str(error))
    app.logger.error("%s %s", code, error)
    return refusal(500, "That did not work. Please try again later.")
# ANCHOR_END: errors


@app.errorhandler(HTTPException)
def http_error(error):
    return refusal(error.code, error.description)


def refusal(status, message, keep_refresh_token=False):
    response = app.make_response((page(message=message), status))
    if status == 401:
        response.delete_cookie("session", **SESSION_COOKIE)
        if not keep_refresh_token:
            response.delete_cookie("refresh", **SESSION_COOKIE)
    return response


def page(**values):
    return render_template_string(PAGE, **values)  # which escapes every value


PAGE = """<!doctype html><meta charset="utf-8"><title>Todos</title>
{% if message %}<p>{{ message }}</p>{% endif %}
{% if organization %}<p>{{ email }} of {{ organization }}</p>
<ul>{% for (title,) in todos %}<li>{{ title }}</li>{% endfor %}</ul>
<form method="post" action="/todos"><input name="title" required> <button>Add</button></form>
<form method="post" action="/logout"><button>Sign out</button></form>
{% else %}<p>Sign in: <a href="/login?organization=org_acme">Acme</a>
  <a href="/login?organization=org_globex">Globex</a></p>{% endif %}"""

if __name__ == "__main__":
    server = create_server(app, host="127.0.0.1", port=int(os.environ.get("PORT", "3000")), threads=10)
    print(f"http://127.0.0.1:{server.effective_port}", flush=True)
    server.run()
