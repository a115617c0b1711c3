// What WorkOS's own SDK signs, and what it says of a signature, for a test that receives webhooks in SQL.
//
// node webhook.js SECRET BODY HEADER: prints the header WorkOS-Signature of the body, and whether HEADER is one.

import { WorkOS } from '@workos-inc/node';

const [secret, body, sigHeader] = process.argv.slice(2);
const { webhooks } = new WorkOS('sk_test_demo');
const payload = JSON.parse(body);
const time = Date.now();
const header = `t=${time}, v1=${await webhooks.computeSignature(time, payload, secret)}`;
const isGood = await webhooks.constructEvent({ payload, sigHeader, secret }).then(
  () => true,
  () => false,
);
console.log(JSON.stringify({ header, isGood }));
