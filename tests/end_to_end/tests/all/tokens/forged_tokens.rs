//! Tokens that somebody else made, or made over: algorithm, key, header, signature.
#![allow(clippy::disallowed_methods)]

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};
use workos_auth_core::token::{self, SigningKey};
use workos_end_to_end::Mint;
use workos_end_to_end::mint::{encode, signature, signed_by};
use workos_end_to_end::waiting::now;

/// The order of P-256 (SEC 2, section 2.4.2).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7,
    0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];
/// What stands in front of the point of a P-256 key in X.509 (RFC 5480).
const SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 3,
    0x42, 0,
];

fn parts(token: &str) -> [&str; 3] {
    token.split('.').collect::<Vec<_>>().try_into().unwrap()
}

#[tokio::test]
async fn another_algorithm_than_the_keys() {
    let mint = Mint::new("algorithms").await;
    let claims = mint.claims(json!({})).to_string();
    for alg in [
        "none",
        "None",
        "NONE",
        "nOnE",
        "",
        "HS256",
        "HS384",
        "HS512",
        "RS256",
        "PS256",
        "ES384",
        "ES512",
        "ES256K",
        "EdDSA",
        "Ed25519",
        "es256",
        "ES256 ",
        " ES256",
        "ES256\n",
        "ЕS256",
        "ES256,none",
        "dir",
    ] {
        let header = mint.header_with(json!({ "alg": alg }));
        // With a signature that the key itself made, and with none.
        let signed = mint.sign(&header, &claims);
        mint.refuses(&format!("{alg:?}, signed"), &signed, "bad_jwt_algorithm").await;
        let unsigned = format!("{}.", signed.rsplit_once('.').unwrap().0);
        mint.refuses(&format!("{alg:?}, unsigned"), &unsigned, "bad_jwt_algorithm").await;
    }
    let with_nul = mint.sign(&mint.header_with(json!({ "alg": "ES256\0" })), &claims);
    mint.refuses("a NUL character behind it", &with_nul, "bad_jwt").await;
    for alg in
        [json!(256), Value::Null, json!(true), json!(["ES256"]), json!(["none", "ES256"]), json!({ "alg": "ES256" })]
    {
        let header = mint.header_with(json!({ "alg": alg }));
        mint.refuses(&format!("alg is {alg}"), &mint.sign(&header, &claims), "bad_jwt").await;
    }
    let unsigned = format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(&claims));
    mint.refuses("none without kid", &unsigned, "bad_jwt").await;
    mint.is_unharmed().await;
}

#[tokio::test]
async fn the_public_key_as_a_shared_secret() {
    let mint = Mint::new("confusion").await;
    let claims = mint.claims(json!({})).to_string();
    let jwk = mint.key.public_jwk();
    let point: Vec<u8> =
        ["x", "y"].iter().flat_map(|name| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap()).collect();
    let point = [&[4], point.as_slice()].concat();
    let der = [SPKI.as_slice(), &point].concat();
    let body = STANDARD.encode(&der);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n{}\n-----END PUBLIC KEY-----", &body[..64], &body[64..]);
    let published: String = mint.app.query_one("select auth.jwks()::text", &[]).await.unwrap().get(0);
    for (what, secret) in [
        ("the JWK", jwk.to_string().into_bytes()),
        ("the JWK as the table shows it", serde_json::to_vec_pretty(&jwk).unwrap()),
        ("the JWK set", published.into_bytes()),
        ("the point", point.clone()),
        ("x and y", point[1..].to_vec()),
        ("x", point[1..33].to_vec()),
        ("DER", der),
        ("PEM", pem.clone().into_bytes()),
        ("PEM and a line feed", format!("{pem}\n").into_bytes()),
        ("the kid", mint.key.kid().as_bytes().to_vec()),
        ("nothing", Vec::new()),
    ] {
        for (alg, algorithm) in [("HS256", Algorithm::HS256), ("HS384", Algorithm::HS384), ("HS512", Algorithm::HS512)]
        {
            let signed = format!("{}.{}", encode(mint.header_with(json!({ "alg": alg }))), encode(&claims));
            let mac = crypto::sign(signed.as_bytes(), &EncodingKey::from_secret(&secret), algorithm).unwrap();
            mint.refuses(&format!("{alg} with {what}"), &format!("{signed}.{mac}"), "bad_jwt_algorithm").await;
            // The same under the right name of the algorithm.
            let signed = format!("{}.{}", encode(mint.header().to_string()), encode(&claims));
            let mac = crypto::sign(signed.as_bytes(), &EncodingKey::from_secret(&secret), algorithm).unwrap();
            mint.refuses_to_verify(&format!("{alg} as ES256"), &format!("{signed}.{mac}"), "bad_jwt_signature").await;
        }
    }
    mint.is_unharmed().await;
}

#[tokio::test]
async fn a_key_that_is_not_known_here() {
    let mint = Mint::new("kids").await;
    let claims = mint.claims(json!({})).to_string();
    let kid = mint.key.kid();
    let stranger = SigningKey::generate(token::Algorithm::Es256).unwrap();
    let header = mint.header_with(json!({ "kid": stranger.kid() }));
    mint.refuses("another key", &signed_by(&stranger, &header, &claims), "bad_jwt_key").await;
    let under_our_name = signed_by(&stranger, mint.header().to_string(), &claims);
    mint.refuses("another key under our name", &under_our_name, "bad_jwt_signature").await;
    // The database's own key did not sign this one.
    let own = parts(&mint.session.access_token)[0];
    let signed = format!("{own}.{}", encode(&claims));
    let token = format!("{signed}.{}", signature(&mint.key, &signed));
    mint.refuses("our key under the database's", &token, "bad_jwt_signature").await;

    for other in [
        "/dev/null",
        "/etc/passwd",
        "../../../../../../dev/null",
        "file:///dev/null",
        "https://evil.example/key",
        "' or '1'='1",
        "'; drop table auth.signing_keys; --",
        "' union select '{}'::jsonb --",
        "$1",
        "%",
        "*",
        ".*",
        "$(id)",
        "{\"kty\":\"EC\"}",
        "ключ",
        "\u{202e}kid",
        "\n",
        " ",
        &format!("{kid} "),
        &kid[..kid.len() - 1],
        &kid.to_lowercase(),
        &kid.to_uppercase(),
        &"k".repeat(200),
    ] {
        let token = mint.sign(&mint.header_with(json!({ "kid": other })), &claims);
        mint.refuses(&format!("kid {other:?}"), &token, "bad_jwt_key").await;
    }
    for (what, other) in [
        ("empty", json!("")),
        ("longer than any", json!("k".repeat(201))),
        ("of 40 kB", json!("k".repeat(40_000))),
        ("of 1 MB", json!("k".repeat(1 << 20))),
        ("of 1 MB, not ASCII", json!("ж".repeat(1 << 19))),
        ("null", Value::Null),
        ("a number", json!(1)),
        ("a list", json!([kid])),
        ("an object", json!({ "kid": kid })),
        ("a NUL character", json!("\0")),
        ("with a NUL character behind it", json!(format!("{kid}\0"))),
    ] {
        let token = mint.sign(&mint.header_with(json!({ "kid": other })), &claims);
        mint.refuses(&format!("kid {what}"), &token, "bad_jwt").await;
    }
    mint.is_unharmed().await;
}

#[tokio::test]
async fn a_header_that_brings_its_own_key_or_rules() {
    let mint = Mint::new("headers").await;
    let claims = mint.claims(json!({})).to_string();
    let stranger = SigningKey::generate(token::Algorithm::Es256).unwrap();
    for (name, value) in [
        ("jwk", mint.key.public_jwk()),
        ("jwk", stranger.public_jwk()),
        ("jwk", Value::Null),
        ("jku", json!("https://evil.example/jwks")),
        ("jku", json!("file:///etc/passwd")),
        ("x5u", json!("https://evil.example/x5u")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AAAA")),
        ("x5t#S256", json!("AAAA")),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("crit", Value::Null),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
        ("cty", json!("JWT")),
        ("typ", json!("at+jwt")),
        ("typ", json!("JWE")),
        ("typ", json!(1)),
        ("typ", Value::Null),
    ] {
        let header = mint.header_with(json!({ name: value }));
        mint.refuses(&format!("{name}: {value}"), &mint.sign(&header, &claims), "bad_jwt").await;
        // Signed with the key that the header brings.
        let theirs = mint.header_with(json!({ name: value, "kid": stranger.kid() }));
        mint.refuses_to_verify(&format!("{name}, theirs"), &signed_by(&stranger, &theirs, &claims), "bad_jwt").await;
    }
    let kid = mint.key.kid();
    for header in [
        format!(r#"{{"alg":"none","alg":"ES256","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"ES256","alg":"none","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"ES256","alg":"ES256","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"none","\u0061lg":"ES256","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"ES256","kid":"{}","kid":"{kid}"}}"#, stranger.kid()),
        format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"JWT","typ":"JWT"}}"#),
        format!(r#"{{"ALG":"ES256","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"ES256","KID":"{kid}"}}"#),
        format!(r#"[{{"alg":"ES256","kid":"{kid}"}}]"#),
        format!(r#"{{"alg":"ES256","kid":"{kid}"}}{{}}"#),
        format!(r#"{{"alg":"ES256","kid":"{kid}"}}//"#),
        format!(r#"{{"alg":"ES256","kid":"{kid}",}}"#),
        format!(r#"{{'alg':'ES256','kid':'{kid}'}}"#),
        format!("{}{}", "[".repeat(20_000), "]".repeat(20_000)),
        format!(r#"{{"alg":"ES256","kid":"{kid}","x":{}1{}}}"#, "[".repeat(10_000), "]".repeat(10_000)),
        "\u{feff}{}".to_owned(),
        "null".to_owned(),
        String::new(),
    ] {
        mint.refuses(&format!("{header:.60}"), &mint.sign(&header, &claims), "bad_jwt").await;
    }
    let mut bytes = mint.header_with(json!({ "x": "?" })).into_bytes();
    let at = bytes.iter().position(|byte| *byte == b'?').unwrap();
    bytes[at] = 0xff;
    mint.refuses("a header that is not UTF-8", &signed_by(&mint.key, bytes, &claims), "bad_jwt").await;
    mint.is_unharmed().await;
}

#[tokio::test]
async fn what_was_signed_and_then_changed() {
    let mint = Mint::new("tampered").await;
    let real = mint.session.access_token.clone();
    let [header, payload, signed] = parts(&real);
    let nobody = "00000000-0000-4000-8000-000000000000";
    for change in [
        json!({ "sub": nobody }),
        json!({ "session_id": nobody }),
        json!({ "role": "service_role" }),
        json!({ "org_id": "org_globex" }),
        json!({ "org_role": "owner" }),
        json!({ "org_roles": ["owner"] }),
        json!({ "groups": ["everybody"] }),
        json!({ "permissions": ["everything"] }),
        json!({ "email": "bob@globex.com" }),
        json!({ "exp": now() + 86_400 }),
        json!({ "claims_version": 1_000 }),
        json!({ "iss": "somebody" }),
        json!({ "aud": null }),
    ] {
        let token = format!("{header}.{}.{signed}", encode(mint.claims(change.clone()).to_string()));
        mint.refuses(&format!("{change}"), &token, "bad_jwt_signature").await;
    }
    // The same claims in other words.
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    let spaced = format!("{header}.{}.{signed}", encode(format!("{text} ")));
    mint.refuses("a space behind the claims", &spaced, "bad_jwt_signature").await;
    let other_header = encode(mint.header_with(json!({ "kid": own_kid(header), "x": 1 })));
    mint.refuses("another header", &format!("{other_header}.{payload}.{signed}"), "bad_jwt_signature").await;

    let (one, two) = (mint.token(json!({})), mint.token(json!({ "org_role": "owner" })));
    let ([header_1, payload_1, signed_1], [_, payload_2, signed_2]) = (parts(&one), parts(&two));
    mint.believes("the first of two", &one).await;
    mint.believes("the second of two", &two).await;
    mint.refuses("the second's signature", &format!("{header_1}.{payload_1}.{signed_2}"), "bad_jwt_signature").await;
    mint.refuses("the first's signature", &format!("{header_1}.{payload_2}.{signed_1}"), "bad_jwt_signature").await;
    mint.refuses("another key's", &format!("{header}.{payload}.{signed_1}"), "bad_jwt_signature").await;
    mint.refuses("another key's header", &format!("{header_1}.{payload}.{signed}"), "bad_jwt_signature").await;
    mint.is_unharmed().await;
}

fn own_kid(header: &str) -> Value {
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    header["kid"].clone()
}

/// `ORDER` less a number below it.
fn negated(number: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut result: Vec<u8> = (0..32)
        .rev()
        .map(|at| {
            let digit = i16::from(ORDER[at]) - i16::from(number[at]) - borrow;
            borrow = i16::from(digit < 0);
            digit.rem_euclid(256).try_into().unwrap()
        })
        .collect();
    result.reverse();
    result
}

/// An integer as DER has it.
fn der_integer(number: &[u8]) -> Vec<u8> {
    let mut digits: Vec<u8> = number.iter().copied().skip_while(|digit| *digit == 0).collect();
    if digits.first().is_none_or(|digit| *digit > 0x7f) {
        digits.insert(0, 0);
    }
    [&[2, u8::try_from(digits.len()).unwrap()], digits.as_slice()].concat()
}

#[tokio::test]
async fn signatures_that_are_none() {
    let mint = Mint::new("signatures").await;
    let good = mint.token(json!({}));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let (r, s) = signature.split_at(32);
    let (zero, ones) = ([0; 32], [0xff; 32]);
    let one = [[0; 31].as_slice(), &[1]].concat();
    let mut above = ORDER;
    above[31] += 1;
    let der = [der_integer(r), der_integer(s)].concat();
    let der = [&[0x30, u8::try_from(der.len()).unwrap()], der.as_slice()].concat();
    let token = |bytes: &[u8]| format!("{signed}.{}", encode(bytes));
    for (what, bytes) in [
        ("nothing", Vec::new()),
        ("r and s are 0", [zero, zero].concat()),
        ("r is 0", [&zero, s].concat()),
        ("s is 0", [r, &zero].concat()),
        ("r and s are 1", [one.as_slice(), &one].concat()),
        ("r and s are the order", [ORDER, ORDER].concat()),
        ("r is the order", [&ORDER, s].concat()),
        ("s is the order", [r, &ORDER].concat()),
        ("r and s are above the order", [above, above].concat()),
        ("r and s are all ones", [ones, ones].concat()),
        ("s and r", [s, r].concat()),
        ("r twice", [r, r].concat()),
        ("the negative of r", [negated(r).as_slice(), s].concat()),
        ("r alone", r.to_vec()),
        ("cut", signature[..63].to_vec()),
        ("a zero behind", [signature.as_slice(), &[0]].concat()),
        ("a zero in front", [&[0], signature.as_slice()].concat()),
        ("each with a zero in front", [&[0], r, &[0], s].concat()),
        ("twice", [signature.as_slice(), &signature].concat()),
        ("as long as ES384's", [&[0; 16], r, &[0; 16], s].concat()),
        ("DER", der.clone()),
        ("DER, filled to 64 bytes and more", [der.as_slice(), &[0; 8]].concat()),
        ("40 kB", vec![1; 40_000]),
    ] {
        mint.refuses(what, &token(&bytes), "bad_jwt_signature").await;
    }
    for at in 0..64 {
        for bit in [0, 7] {
            let mut bent = signature.clone();
            bent[at] ^= 1 << bit;
            mint.refuses_to_verify(&format!("bit {bit} of byte {at}"), &token(&bent), "bad_jwt_signature").await;
        }
    }
    // ECDSA itself knows two signatures of the same words. It is the same claims that are believed, and a session that ends
    // takes both with it.
    mint.believes("the other s", &token(&[r, &negated(s)].concat())).await;
    mint.is_unharmed().await;
}

#[tokio::test]
async fn of_a_key_that_was_retired() {
    let mint = Mint::new("retired").await;
    let token = mint.token(json!({}));
    mint.believes("while the key is retiring", &token).await;
    // A connection that has this very token as its session, in a transaction that stays open.
    let user = mint.bed.role("user", "").await;
    let open = mint.bed.connect(&user).await;
    open.batch_execute("begin").await.unwrap();
    open.query_one("select auth.set_session($1)", &[&token]).await.unwrap();
    open.batch_execute("savepoint s").await.unwrap();
    let sql = "update auth.signing_keys set status = 'retired', retired_at = now() where kid = $1";
    mint.bed.admin.execute(sql, &[&mint.key.kid()]).await.unwrap();
    workos_end_to_end::refused(open.query("select auth.uid()", &[]).await, "bad_jwt_key");
    open.batch_execute("rollback to s").await.unwrap();
    workos_end_to_end::refused(open.query("select auth.uid()", &[]).await, "bad_jwt_key");
    mint.refuses("of a retired key", &token, "bad_jwt_key").await;
    // Nor of one that is gone, nor of one whose place another took.
    mint.bed.admin.execute("delete from auth.signing_keys where kid = $1", &[&mint.key.kid()]).await.unwrap();
    mint.refuses("of a deleted key", &token, "bad_jwt_key").await;
    let mut other = SigningKey::generate(token::Algorithm::Es256).unwrap().public_jwk();
    other["kid"] = json!(mint.key.kid());
    let sql = "insert into auth.signing_keys (kid, algorithm, public_key, status) values ($1, 'ES256', $2, 'retiring')";
    mint.bed.admin.execute(sql, &[&mint.key.kid(), &other]).await.unwrap();
    mint.refuses("of a key whose name another has", &token, "bad_jwt_signature").await;
    mint.is_not_logged();
}
