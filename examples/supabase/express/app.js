// Login with WorkOS through Supabase's client: Express 5 and @supabase/ssr.
//
//   SUPABASE_URL=https://api.example.com SUPABASE_KEY=any ORIGIN=https://app.example.com npm start
//
// SUPABASE_URL is the gateway's without /auth/v1, ORIGIN the address that browsers use for this app. auth.redirect_urls must
// list it.

import { createServerClient } from '@supabase/ssr';
import { parse } from 'cookie';
import express from 'express';

const { SUPABASE_URL, SUPABASE_KEY, PORT = '3000' } = process.env;
// Never from Host, which is the browser's to choose.
const ORIGIN = new URL(process.env.ORIGIN ?? `http://127.0.0.1:${PORT}`).origin;

// The page after the sign-in: a path of this site, whatever the query says, and without the tricks that make a browser or a
// proxy read another host out of it.
function localPath(next) {
  if (!/^\/[^\\\p{Cc}]*$/u.test(next) || !URL.canParse(next, ORIGIN)) return '/';
  const { origin, pathname, search } = new URL(next, ORIGIN);
  return origin === ORIGIN && !/^\/(\/|%2f|%5c)/i.test(pathname) ? pathname + search : '/';
}

const failed = (code = 'unexpected_failure') => `/?${new URLSearchParams({ error: code })}`;

// The session lives in cookies, which scripts in the page need not read: everything happens here.
const supabaseFor = (req, res) => createServerClient(SUPABASE_URL, SUPABASE_KEY, {
  cookieOptions: { httpOnly: true, secure: ORIGIN.startsWith('https:') },
  cookies: {
    getAll: () => Object.entries(parse(req.headers.cookie ?? '')).map(([name, value]) => ({ name, value })),
    setAll(cookies, headers) {
      for (const { name, value, options } of cookies) {
        res.cookie(name, value, { ...options, maxAge: options.maxAge * 1000 }); // Express counts milliseconds
      }
      res.set(headers); // no cache may keep somebody's cookies
    },
  },
  realtime: { transport: class {} }, // the client wants a WebSocket, which Node 20 has not and nothing here opens
});

const app = express();

app.get('/', async (req, res) => {
  const { data: { user } } = await supabaseFor(req, res).auth.getUser();
  // A code, never a text: anybody can make a link to this page.
  const { error = '' } = req.query;
  const failure = /^\w{1,64}$/.test(error) ? html`<p role="alert">Not signed in: ${error}</p>` : '';
  res.send(page(user
    ? html`<p>Signed in as ${user.email}</p><form method="post" action="/logout"><button>Sign out</button></form>`
    : html`${failure}<p><a href="/login?organization=org_acme">Sign in with SSO</a></p>`));
});

app.get('/login', async (req, res) => {
  const callback = new URL('/auth/callback', ORIGIN);
  callback.searchParams.set('next', localPath(req.query.next));
  const { data, error } = await supabaseFor(req, res).auth.signInWithOAuth({
    provider: 'workos',
    options: { redirectTo: callback.href, queryParams: { organization: req.query.organization }, skipBrowserRedirect: true },
  });
  res.redirect(303, error ? failed(error.code) : data.url);
});

app.get('/auth/callback', async (req, res) => {
  const { code, next, error_code: errorCode, error: refused } = req.query; // WorkOS's own errors come without error_code
  if (!code) return res.redirect(303, failed(errorCode ?? refused));
  // Without the verifier in this browser's cookie a code is worth nothing: a sign-in ends where it began.
  const { error } = await supabaseFor(req, res).auth.exchangeCodeForSession(code);
  res.redirect(303, error ? failed(error.code) : localPath(next));
});

// By POST, so that no link and no image signs anybody out; SameSite=Lax keeps other sites' forms from it.
app.post('/logout', async (req, res) => {
  await supabaseFor(req, res).auth.signOut();
  res.redirect(303, '/');
});

app.use((error, req, res, next) => {
  console.error(error);
  res.status(500).send(page(html`<p>That did not work. Please try again later.</p>`));
});

// Escapes every value that is not itself made by html`…`.
function html(strings, ...values) {
  const escape = (value) => String(value ?? '').replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
  return { html: String.raw({ raw: strings }, ...values.map((value) => value?.html ?? escape(value))) };
}

const page = (body) => html`<!doctype html><meta charset="utf-8"><title>Login with WorkOS</title>${body}`.html;

app.listen(PORT, '127.0.0.1', () => console.log(ORIGIN));
