//! Writes what fuzzing begins with: `signed_tokens.txt`, real tokens and some that no server would sign, and from them
//! the files `corpus/*/seed-*`. Run it in this folder, with `RUSTFLAGS="--cfg fuzzing"`. Signatures are new each time.

use std::error::Error;
use std::fs;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use workos_auth_core::claims::TokenSubject;
use workos_auth_core::token::{Algorithm, SigningKey};
use workos_auth_core_fuzz::properties::{RULES, signing_key};

const SUB: &str = "8c1f0a4e-0000-4000-8000-000000000001";
const SESSION: &str = "8c1f0a4e-0000-4000-8000-000000000002";

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let key = signing_key();
    let payloads = payloads()?;
    let headers = headers(&key);
    let mut tokens = Vec::new();
    for (name, payload) in &payloads {
        tokens.push((name.clone(), key.sign(payload)?.0.expose().to_owned()));
    }
    let good = tokens[0].1.clone();
    for (name, header) in &headers {
        tokens.push((format!("header-{name}"), sign(&key, header, &payloads[0].1)?));
    }
    let lines: Vec<&str> = tokens.iter().map(|(_, token)| token.as_str()).collect();
    fs::write("signed_tokens.txt", lines.join("\n") + "\n")?;
    tokens.extend(mutations(&key, &good)?);
    write("token", &tokens)?;
    write("header", &headers)?;
    write("claims", &payloads)
}

fn write(target: &str, inputs: &[(String, String)]) -> Outcome<()> {
    let folder = format!("corpus/{target}");
    fs::create_dir_all(&folder)?;
    for (name, input) in inputs {
        fs::write(format!("{folder}/seed-{name}"), input)?;
    }
    Ok(())
}

fn sign(key: &SigningKey, header: &str, payload: &str) -> Outcome<String> {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.to_pkcs8().expose())?;
    let signature = pair.sign(&SystemRandom::new(), signed.as_bytes())?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// A person with everything, as the extension mints it.
fn subject() -> Outcome<TokenSubject> {
    Ok(TokenSubject {
        user_id: SUB.parse()?,
        session_id: SESSION.parse()?,
        issuer: RULES.issuer.into(),
        audience: RULES.audience.into(),
        role: "authenticated".into(),
        email: Some("ann@acme.com".into()),
        phone: None,
        app_metadata: json!({ "provider": "workos", "providers": ["workos"] }),
        user_metadata: json!({ "full_name": "Ann Ångström 安", "n": 1.50, "deep": [[{ "a": null }]] }),
        auth_time: RULES.now - 60,
        issued_at: RULES.now - 60,
        expires_at: RULES.now + 3600,
        amr_method: "oauth".into(),
        provider: "workos".into(),
        organization_id: Some("org_01".into()),
        connection_id: Some("conn_01".into()),
        org_role: Some("admin".into()),
        org_roles: vec!["admin".into(), "member".into()],
        groups: vec!["Engineering".into(), "São Paulo 🏙".into()],
        permissions: vec!["invoices:read".into(), "invoices:write".into()],
        claims_version: 7,
        is_anonymous: false,
    })
}

fn payloads() -> Outcome<Vec<(String, String)>> {
    let subject = subject()?;
    let mut all = vec![("real".to_owned(), subject.to_json())];
    let mut add = |name: &str, payload: String| all.push((name.to_owned(), payload));
    let bare = json!({
        "iss": RULES.issuer, "aud": RULES.audience, "sub": SUB, "session_id": SESSION,
        "exp": RULES.now + 60, "iat": RULES.now - 60,
    });
    let plain = bare.to_string();
    let with = |name: &str, value: Value| {
        let mut claims = bare.clone();
        claims[name] = value;
        claims.to_string()
    };
    let open = &plain[..plain.len() - 1];

    add("bare", plain.clone());
    let many = |prefix: &str| (0..120).map(|n| format!("{prefix}:{n}")).collect::<Vec<_>>();
    add("large", TokenSubject { permissions: many("p"), groups: many("g"), ..subject.clone() }.to_json());
    add("nobody", TokenSubject { email: None, organization_id: None, org_role: None, ..subject }.to_json());
    add("whitespace", format!(" \r\n\t{plain}\r\n"));
    for (name, value) in [
        ("aud", json!(["anon", "authenticated"])),
        ("aud", json!([])),
        ("aud", json!("anon")),
        ("aud", json!([1])),
        ("iss", json!("https://db.example.com/")),
        ("iss", json!("")),
        ("exp", json!(RULES.now)),
        ("exp", json!("2000000060")),
        ("exp", json!(-1)),
        ("exp", json!((1_i64 << 53) - 1)),
        ("exp", json!(1_i64 << 53)),
        ("exp", json!(2_000_000_060.0)),
        ("nbf", json!(RULES.now + 5)),
        ("nbf", json!(RULES.now + 6)),
        ("nbf", Value::Null),
        ("iat", json!(RULES.now + 6)),
        ("sub", json!(SUB.to_uppercase())),
        ("sub", json!(SUB.replace('-', ""))),
        ("sub", json!(format!("{{{SUB}}}"))),
        ("session_id", json!("not a uuid, but thirty-six characters")),
        ("role", json!("")),
        ("role", json!(["authenticated"])),
        ("email", json!("ann\0@acme.com")),
        ("email", json!("\u{202e}moc.emca@nna\u{feff}é\u{10ffff}")),
        ("groups", Value::Null),
        ("groups", json!("eng")),
        ("org_roles", json!(["", "admin", "admin"])),
        ("permissions", json!([["a"]])),
        ("claims_version", json!(0)),
        ("claims_version", json!("1")),
    ] {
        let short: String = value.to_string().chars().filter(char::is_ascii_alphanumeric).take(12).collect();
        add(&format!("{name}-{short}"), with(name, value));
    }
    for number in ["2e9", "20000000.6e2", "-0", "1e400", "99999999999999999999", "2000000060.0", "02000000060", "+1"] {
        add(&format!("number-{number}"), plain.replace("2000000060", number));
    }
    for (name, member) in [
        ("double-sub", format!(r#""sub":"{SUB}""#)),
        ("double-escaped", r#""\u0073ub":null"#.into()),
        ("double-exp", r#""exp":2000000060"#.into()),
        ("double-nested", r#""user_metadata":{"a":1,"a":2}"#.into()),
        ("proto", r#""__proto__":{"role":"admin"},"constructor":[]"#.into()),
        ("surrogates", r#""x":"\ud83d\ude00","y":"\u0001\u001f\/\b\f""#.into()),
        ("lone-surrogate", r#""x":"\ud83d""#.into()),
        ("reversed-surrogates", r#""x":"\ude00\ud83d""#.into()),
        ("comment", r#""x":/**/1"#.into()),
        ("nan", r#""x":NaN"#.into()),
        ("exponent-least", r#""x":1e-9223372036854775808"#.into()),
        ("exponent-most", r#""x":[1e1000,0e-1000]"#.into()),
        ("nul-nested", r#""x":[{"a\u0000":0}]"#.into()),
        ("numbers", r#""x":[0,-0,0.0,1E+400,-1e-999,12345678901234567890123456789.5e-3]"#.into()),
        // The name that serde_json gives to a number among its own parts.
        ("private-number", r#""nbf":{"$serde_json::private::Number":"1"}"#.into()),
        ("private-number-nested", r#""user_metadata":{"$serde_json::private::Number":"1"}"#.into()),
        ("private-no-number", r#""user_metadata":{"\u0024serde_json::private::Number":"x"}"#.into()),
        ("private-raw", r#""user_metadata":{"$serde_json::private::RawValue":"[1,"}"#.into()),
    ] {
        add(name, format!("{open},{member}}}"));
    }
    for depth in [100, 126, 127, 128, 1000] {
        add(&format!("deep-{depth}"), format!("{open},\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth)));
    }
    add("deep-objects", format!("{open},\"x\":{}1{}}}", "{\"a\":".repeat(120), "}".repeat(120)));
    add("long-text", with("email", json!("é".repeat(3000))));
    add("escaped-names", plain.replace("\"exp\"", "\"\\u0065xp\"").replace("\"aud\"", "\"\\u0061\\u0075\\u0064\""));
    for (name, payload) in [
        ("empty", String::new()),
        ("null", "null".into()),
        ("list", format!("[{plain}]")),
        ("two", format!("{plain}{plain}")),
        ("bom", format!("\u{feff}{plain}")),
        ("trailing-comma", format!("{open},}}")),
        ("cut", open.to_owned()),
        ("nothing-in-it", "{}".into()),
    ] {
        add(name, payload);
    }
    Ok(all)
}

fn headers(key: &SigningKey) -> Vec<(String, String)> {
    let kid = key.kid();
    let good = json!({ "alg": "ES256", "typ": "JWT", "kid": kid });
    let with = |name: &str, value: Value| {
        let mut header = good.clone();
        header[name] = value;
        header.to_string()
    };
    let mut all = vec![("real".to_owned(), good.to_string())];
    let mut add = |name: String, header: String| all.push((name, header));
    for name in ["crit", "b64", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "zip", "enc", "cty"] {
        add(format!("has-{}", name.replace('#', "-")), with(name, json!([])));
    }
    add("embedded-jwk".into(), with("jwk", key.public_jwk()));
    for alg in ["none", "None", "HS256", "ES384", "RS256", "es256", ""] {
        add(format!("alg-{alg}"), with("alg", json!(alg)));
    }
    for (name, value) in [("at-jwt", json!("at+jwt")), ("lower", json!("jwt")), ("null", Value::Null)] {
        add(format!("typ-{name}"), with("typ", value));
    }
    for (name, value) in [
        ("path", json!("../../../../dev/null")),
        ("sql", json!("' or 1=1; --")),
        ("unicode", json!("ключ🔑\u{0}")),
        ("empty", json!("")),
        ("200", json!("k".repeat(200))),
        ("201", json!("k".repeat(201))),
        ("200-in-two", json!("é".repeat(100))),
        ("number", json!(1)),
        ("list", json!([kid])),
    ] {
        add(format!("kid-{name}"), with("kid", value));
    }
    for (name, header) in [
        ("double-alg", format!(r#"{{"alg":"none","alg":"ES256","kid":"{kid}"}}"#)),
        ("double-escaped", format!(r#"{{"alg":"none","\u0061lg":"ES256","kid":"{kid}"}}"#)),
        ("double-kid", format!(r#"{{"alg":"ES256","kid":"x","kid":"{kid}"}}"#)),
        ("escaped", format!(r#"{{"\u0061lg":"\u0045S256","k\u0069d":"{kid}"}}"#)),
        ("escaped-crit", format!(r#"{{"alg":"ES256","kid":"{kid}","\u0063rit":[]}}"#)),
        ("alg-list", format!(r#"{{"alg":["ES256"],"kid":"{kid}"}}"#)),
        ("other", format!(r#" {{"other":[{{"alg":"none"}}],"kid":"{kid}","alg":"ES256"}} "#)),
        ("no-alg", format!(r#"{{"kid":"{kid}"}}"#)),
        ("no-kid", r#"{"alg":"ES256"}"#.to_owned()),
        ("deep", format!(r#"{{"alg":"ES256","kid":"{kid}","x":{}{}}}"#, "[".repeat(127), "]".repeat(127))),
        ("private-number", format!(r#"{{"alg":{{"$serde_json::private::Number":"1"}},"kid":"{kid}"}}"#)),
        ("trailing", format!(r#"{{"alg":"ES256","kid":"{kid}"}}{{}}"#)),
        ("list", "[]".to_owned()),
        ("empty", String::new()),
    ] {
        add(name.into(), header);
    }
    all
}

/// What is done to a good token.
fn mutations(key: &SigningKey, good: &str) -> Outcome<Vec<(String, String)>> {
    let (signed, signature) = good.rsplit_once('.').ok_or("no signature")?;
    let (header, payload) = signed.split_once('.').ok_or("no payload")?;
    let raw = URL_SAFE_NO_PAD.decode(signature)?;
    let der_pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.to_pkcs8().expose())?;
    let der = der_pair.sign(&SystemRandom::new(), signed.as_bytes())?;
    let stranger = sign(&SigningKey::generate(Algorithm::Es256)?, &String::from_utf8(URL_SAFE_NO_PAD.decode(header)?)?, "{}")?;
    let stranger = stranger.rsplit_once('.').ok_or("no signature")?.1;
    let with = |bytes: &[u8]| format!("{signed}.{}", URL_SAFE_NO_PAD.encode(bytes));
    let mut bent = raw.clone();
    bent[63] ^= 1;
    let (r, s) = raw.split_at(32);
    let padded = URL_SAFE.encode(&raw);
    let standard = STANDARD.encode(URL_SAFE_NO_PAD.decode(payload)?);
    let list: [(&str, String); 29] = [
        ("empty", String::new()),
        ("dots", "..".into()),
        ("more-dots", "....".into()),
        ("two-parts", signed.into()),
        ("four-parts", format!("{good}.{signature}")),
        ("five-parts", format!("{header}.{payload}.{signature}.{payload}.{signature}")),
        ("unsigned", format!("{signed}.")),
        ("no-payload", format!("{header}..{signature}")),
        ("no-header", format!(".{payload}.{signature}")),
        ("padding", format!("{signed}.{padded}")),
        ("padding-one", format!("{signed}.{signature}=")),
        ("standard-alphabet", format!("{header}.{standard}.{signature}")),
        ("newline", format!("{good}\n")),
        ("newline-within", format!("{header}.{payload}.\r\n{signature}")),
        ("space", format!(" {good}")),
        ("bearer", format!("Bearer {good}")),
        ("nul", format!("{good}\0")),
        ("quoted", format!("\"{good}\"")),
        ("unicode", format!("{header}.{payload}é.{signature}")),
        ("full-width-dot", format!("{header}．{payload}．{signature}")),
        ("bent", with(&bent)),
        ("zeros", with(&[0; 64])),
        ("ones", with(&[255; 64])),
        ("r-zero", with(&[&[0; 32], s].concat())),
        ("swapped", with(&[s, r].concat())),
        ("der", with(der.as_ref())),
        ("long-signature", with(&[&raw[..], &[0]].concat())),
        ("stranger", format!("{signed}.{stranger}")),
        ("cut", good[..good.len() - 1].into()),
    ];
    let mut all: Vec<_> = list.into_iter().map(|(name, token)| (format!("bent-{name}"), token)).collect();
    // Of the last character's six bits four belong to no byte.
    for last in ["A", "B", "g", "h", "w", "x", "-", "_"] {
        all.push((format!("bits-{last}"), format!("{}{last}", &good[..good.len() - 1])));
    }
    Ok(all)
}
