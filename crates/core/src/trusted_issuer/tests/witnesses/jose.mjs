// Makes jose.json: a key set and tokens as others sign them. `npm install jose@6`, then `node jose.mjs > jose.json`. No test runs it: the
// tokens are good at the time of the tests, which core is told.
import { SignJWT, exportJWK, generateKeyPair } from "jose";

const keys = [], tokens = {};
for (const alg of ["ES256", "RS256", "PS256", "EdDSA"]) {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const kid = `jose-${alg}`;
  keys.push({ ...(await exportJWK(publicKey)), kid, alg, use: "sig" });
  tokens[alg] = await new SignJWT({ sid: "session_01JOSE", auth_time: 1999999000, client_id: "client_01EXAMPLE", org_id: "org_acme", name: "Zoë" })
    .setProtectedHeader({ alg, kid, typ: "JWT" })
    .setIssuer("https://issuer.example.com/")
    .setSubject("user_01JOSE")
    .setIssuedAt(1999999990)
    .setExpirationTime(2000000300)
    .sign(privateKey);
}
console.log(JSON.stringify({ jwks: { keys }, tokens }, null, 1));
