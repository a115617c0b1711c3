"""Makes pyjwt.json, as jose.mjs makes jose.json: `pip install pyjwt cryptography`, then `python pyjwt.py > pyjwt.json`."""

import json

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

keys, tokens = [], {}
for alg, key in [
    ("ES256", ec.generate_private_key(ec.SECP256R1())),
    ("RS256", rsa.generate_private_key(65537, 2048)),
    ("PS256", rsa.generate_private_key(65537, 3072)),
    ("EdDSA", ed25519.Ed25519PrivateKey.generate()),
]:
    kid = f"pyjwt-{alg}"
    jwk = json.loads(jwt.get_algorithm_by_name(alg).to_jwk(key.public_key()))
    keys.append({**jwk, "kid": kid, "alg": alg})
    claims = {
        "iss": "https://issuer.example.com/",
        "sub": "user_01PYJWT",
        "sid": "session_01PYJWT",
        "auth_time": 1999999000,
        "client_id": "client_01EXAMPLE",
        "org_id": "org_acme",
        "name": "Zoë",
        "iat": 1999999990,
        "exp": 2000000300,
    }
    tokens[alg] = jwt.encode(claims, key, algorithm=alg, headers={"kid": kid})
print(json.dumps({"jwks": {"keys": keys}, "tokens": tokens}, indent=1))
