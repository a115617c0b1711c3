// Login with WorkOS, done by the database: Express 5 and pg.
//
//   psql -f ../schema.sql       and auth.configure_workos(redirect_uri => 'http://127.0.0.1:3000/callback', …)
//   DATABASE_URL=postgres://app@localhost/app npm start
//
// PUBLIC_URL is the address that browsers use, if it is another: https://app.example.com

import { createHash } from 'node:crypto';
import { parse } from 'cookie';
import express from 'express';
import pg from 'pg';

const { DATABASE_URL, PORT = '3000', PUBLIC_URL = '' } = process.env;
const pool = new pg.Pool({ connectionString: DATABASE_URL });
pool.on('error', (error) => console.error(`an idle connection broke: ${error.message}`)); // the pool opens another

// Cookies are not signed: the database verifies the token at every use, and a verifier is good for nothing but the
// flow of its own state. SameSite=Lax keeps other sites' forms from using them; the callback, a link, still gets its own.
const sessionCookie = { httpOnly: true, sameSite: 'lax', path: '/', secure: PUBLIC_URL.startsWith('https:') };
const flowCookie = { ...sessionCookie, path: '/callback' };
const REFRESH_TTL = 7 * 24 * 3600_000; // as long as workos_auth.session_ttl

// One cookie a flow, so that two tabs can sign in at the same time.
const flowName = (state) => `flow_${createHash('sha256').update(String(state)).digest('hex').slice(0, 16)}`;

// ANCHOR: as-user
// Runs work(db) in one transaction as the person whose token it is. The next user of the pooled connection finds
// neither role nor session: both end with the transaction.
async function asUser(token, work) {
  if (!token) throw new Refusal(401, 'Nobody is signed in.');
  const db = await pool.connect();
  let broken;
  try {
    await db.query('begin');
    await db.query('set local role authenticated');
    await db.query('select auth.set_session($1)', [token]);
    const result = await work(db);
    await db.query('commit');
    return result;
  } catch (error) {
    await db.query('rollback').catch((failure) => { broken = failure; });
    throw error;
  } finally {
    db.release(broken);
  }
}
// ANCHOR_END: as-user

// ANCHOR: refresh
// A browser drops the cookie of an access token when the token expires. The refresh token then gets the next one.
async function refresh(req, res) {
  if (req.cookies.session || !req.cookies.refresh) return;
  try {
    const { rows: [session] } = await pool.query(
      'select * from auth.refresh_session(refresh_token => $1, ip => $2, user_agent => $3)',
      [req.cookies.refresh, req.ip, req.get('user-agent')],
    );
    req.cookies.session = keep(res, session);
  } catch (error) {
    // Refused: the person signs in again. Trouble passes, and so does WA207, of tabs that refresh at the same time.
    throw httpStatus(error) < 500 && error.code !== 'WA207' ? new Refusal(401, error.message) : error;
  }
}

// Both tokens of a sign-in or a refresh take the place of those before.
function keep(res, session) {
  res.cookie('session', session.access_token, { ...sessionCookie, expires: session.expires_at });
  res.cookie('refresh', session.refresh_token, { ...sessionCookie, maxAge: REFRESH_TTL });
  return session.access_token;
}
// ANCHOR_END: refresh

const app = express();
app.use(express.urlencoded({ extended: false }));
app.use((req, res, next) => {
  req.cookies = parse(req.headers.cookie ?? '');
  next();
});
app.use(async (req, res, next) => {
  // Who is about to sign in needs no session.
  if (!['/login', '/callback'].includes(req.path)) await refresh(req, res);
  next();
});

app.get('/', async (req, res) => {
  if (!req.cookies.session) return res.send(page(signInLinks));
  const [me, todos] = await asUser(req.cookies.session, async (db) => [
    (await db.query('select auth.email() as email, auth.organization_id() as organization')).rows[0],
    (await db.query('select title from todos order by id')).rows,
  ]);
  res.send(page(html`<p>${me.email} of ${me.organization}</p>
    <ul>${todos.map(({ title }) => html`<li>${title}</li>`)}</ul>
    <form method="post" action="/todos"><input name="title" required> <button>Add</button></form>
    <form method="post" action="/logout"><button>Sign out</button></form>`));
});

// ANCHOR: login
app.get('/login', async (req, res) => {
  const { organization, redirect_to: redirectTo } = req.query;
  const { rows: [flow] } = await pool.query(
    'select * from auth.start_sign_in(organization => $1, redirect_to => $2)',
    [organization, redirectTo],
  );
  res.cookie(flowName(flow.state), `${flow.state}.${flow.code_verifier}`, { ...flowCookie, maxAge: 900_000 });
  res.redirect(flow.url);
});
// ANCHOR_END: login

// ANCHOR: callback
app.get('/callback', async (req, res) => {
  const { code, state, error, error_description: description } = req.query;
  const name = flowName(state);
  // Only the browser that began a sign-in may finish it; nobody else can even make this page say something.
  const [ownState, verifier] = (req.cookies[name] ?? '').split('.');
  if (!state || state !== ownState) throw new Refusal(400, 'This sign-in was not begun in this browser, or it is over.');
  if (error) {
    res.clearCookie(name, flowCookie);
    throw new Refusal(400, `WorkOS says ${error}: ${description ?? ''}`);
  }
  const { rows: [session] } = await pool.query(
    `select access_token, refresh_token, expires_at, redirect_to
     from auth.exchange_code(code => $1, verifier => $2, state => $3, ip => $4, user_agent => $5)`,
    [code, verifier, state, req.ip, req.get('user-agent')],
  );
  res.clearCookie(name, flowCookie);
  keep(res, session);
  res.redirect(session.redirect_to ?? '/'); // checked against auth.redirect_urls when the sign-in began
});
// ANCHOR_END: callback

// ANCHOR: logout
app.post('/logout', async (req, res) => {
  const { session: token } = req.cookies;
  if (!token) throw new Refusal(401, 'Nobody is signed in.');
  await pool.query('select auth.sign_out($1)', [token]); // everywhere; 'local' as a second argument for here only
  res.clearCookie('session', sessionCookie).clearCookie('refresh', sessionCookie);
  res.redirect(303, '/');
});
// ANCHOR_END: logout

app.get('/todos', async (req, res) => {
  const { rows } = await asUser(req.cookies.session, (db) => db.query('select id, title from todos order by id'));
  res.json(rows);
});

app.post('/todos', async (req, res) => {
  await asUser(req.cookies.session, (db) => db.query('insert into todos (title) values ($1)', [req.body?.title]));
  res.redirect(303, '/');
});

class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// ANCHOR: errors
// The database's SQLSTATE as an HTTP status for a page. The view auth.error_codes has a finer one for each.
function httpStatus({ status, code = '' }) {
  if (status) return status;
  if (code.startsWith('WA5')) return 401; // no good session any more
  if (/^(WA[024]|WA304|2[23])/.test(code)) return 400; // what the browser sent, or who it is, does not do
  if (code === '42501') return 403; // a policy, or a right that is missing
  return 500;
}

app.use((error, req, res, next) => {
  const status = httpStatus(error);
  if (status >= 500) console.error(`${error.code ?? ''} ${error.message}`);
  if (status === 401) res.clearCookie('session', sessionCookie);
  // An expired token and one that is older than the person's rights are refreshed by the next request.
  if (status === 401 && !['WA508', 'WA510'].includes(error.code)) res.clearCookie('refresh', sessionCookie);
  const message = status < 500 ? error.message : 'That did not work. Please try again later.';
  res.status(status).send(page(html`<p>${message}</p>${signInLinks}`));
});
// ANCHOR_END: errors

// Escapes every value that is not itself made by html`…`.
function html(strings, ...values) {
  const escape = (value) => String(value ?? '').replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
  const render = (value) => [value].flat().map((part) => part?.html ?? escape(part)).join('');
  return { html: String.raw({ raw: strings }, ...values.map(render)) };
}

const page = (body) => html`<!doctype html><meta charset="utf-8"><title>Todos</title>${body}`.html;
const signInLinks = html`<p>Sign in: <a href="/login?organization=org_acme">Acme</a>
  <a href="/login?organization=org_globex">Globex</a></p>`;

const server = app.listen(PORT, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
