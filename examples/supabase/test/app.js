// Starts an example as its `npm start` does, on a free port, and stops it again.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const START_SECONDS = 60;

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

// `origin` is the address that the example believes to have; by default the one that it listens at.
export async function start(framework, origin) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const env = {
    ...process.env,
    SUPABASE_URL: process.env.GATEWAY_URL.replace(/\/auth\/v1$/, ''),
    SUPABASE_KEY: 'any',
    HOST: '127.0.0.1',
    PORT: port,
    ORIGIN: origin ?? url,
    NODE_ENV: 'production',
  };
  // A process group of its own: npm, its shell and the server end together.
  const app = spawn('npm', ['--silent', 'start'], { cwd: new URL(`../${framework}`, import.meta.url), env, detached: true });
  const ended = once(app, 'exit');
  let log = '';
  for (const stream of [app.stdout, app.stderr]) stream.on('data', (data) => { log += data; });

  for (const deadline = Date.now() + START_SECONDS * 1000; ; await sleep(50)) {
    if (await fetch(url, { redirect: 'manual' }).then(() => true, () => false)) break;
    if (app.exitCode !== null || Date.now() > deadline) {
      stop();
      throw new Error(`${framework} does not answer:\n${log}`);
    }
  }

  function stop() {
    if (app.exitCode === null) process.kill(-app.pid, 'SIGKILL');
    return ended;
  }
  return { url, stop, log: () => log };
}
