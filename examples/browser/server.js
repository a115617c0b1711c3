// A page that signs in with @supabase/supabase-js, and the data beside it: Express 5 and pg.
//
//   npm ci, psql -f ../schema.sql, and the gateway (docs/gateway.md) at $SUPABASE_URL/auth/v1
//   SUPABASE_URL=http://127.0.0.1:9999 DATABASE_URL=postgres://app@localhost/app npm start
//
// The page's address, http://127.0.0.1:3000 unless PORT says otherwise, must be listed in auth.redirect_urls.

import { fileURLToPath } from 'node:url';
import express from 'express';
import pg from 'pg';

const { DATABASE_URL, SUPABASE_URL, PORT = '3000' } = process.env;
const authOrigin = new URL(SUPABASE_URL).origin; // fails at the start, not at the first sign-in
const pool = new pg.Pool({ connectionString: DATABASE_URL });
pool.on('error', (error) => console.error(`an idle connection broke: ${error.message}`)); // the pool opens another

class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// Runs work(db) in one transaction as the person whose token it is. The next user of the pooled connection finds
// neither role nor session: both end with the transaction.
async function asUser(req, work) {
  const token = /^Bearer (\S+)$/i.exec(req.get('authorization') ?? '')?.[1];
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

const app = express();
app.disable('x-powered-by');
app.use((req, res, next) => {
  // Only our own files, no inline script: a token in local storage is safe as long as no foreign script runs.
  res.set('Content-Security-Policy', `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; `
    + `connect-src 'self' ${authOrigin}; base-uri 'none'; form-action 'self'; frame-ancestors 'none'`);
  res.set('Referrer-Policy', 'no-referrer');
  res.set('X-Content-Type-Options', 'nosniff');
  next();
});

const file = (path) => fileURLToPath(new URL(path, import.meta.url));
app.get('/supabase.js', (req, res) => res.sendFile(file('node_modules/@supabase/supabase-js/dist/umd/supabase.js')));
// Supabase's client wants a key; the gateway ignores it. It is no secret.
app.get('/config.json', (req, res) => res.json({ supabaseUrl: SUPABASE_URL, key: 'public' }));

app.get('/todos', async (req, res) => {
  const { rows } = await asUser(req, (db) => db.query('select id, title from todos order by id'));
  res.set('Cache-Control', 'no-store').json(rows);
});

app.post('/todos', express.json(), async (req, res) => {
  const { rows: [todo] } = await asUser(req, (db) => (
    db.query('insert into todos (title) values ($1) returning id, title', [req.body?.title])));
  res.status(201).json(todo);
});

app.use(express.static(file('public')));

// The database's SQLSTATE as an HTTP status; the view auth.error_codes lists them one by one.
app.use((error, req, res, next) => {
  const code = error.code ?? '';
  const status = error.status ?? (code.startsWith('WA5') ? 401 : /^2[23]/.test(code) ? 400 : 500);
  if (status >= 500) console.error(`${code} ${error.message}`);
  res.status(status).json({ message: status < 500 ? error.message : 'That did not work. Please try again later.' });
});

const server = app.listen(PORT, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
