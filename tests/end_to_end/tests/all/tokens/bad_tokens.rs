//! Tokens that are no good although the right key may have signed them: form, claims, time and place.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Value, json};
use workos_end_to_end::Mint;
use workos_end_to_end::mint::{encode, signature, signed_by};
use workos_end_to_end::waiting::now;
use workos_end_to_end::wire::Wire;

fn parts(token: &str) -> [&str; 3] {
    token.split('.').collect::<Vec<_>>().try_into().unwrap()
}

#[tokio::test]
async fn of_other_times_and_places() {
    let mint = Mint::new("elsewhere").await;
    let now = now();
    for (what, changes, name) in [
        ("another issuer", json!({ "iss": "urn:uuid:00000000-0000-4000-8000-000000000000" }), "bad_jwt_issuer"),
        ("an empty issuer", json!({ "iss": "" }), "bad_jwt_issuer"),
        (
            "our issuer and more",
            json!({ "iss": format!("{}/", mint.session.claims["iss"].as_str().unwrap()) }),
            "bad_jwt_issuer",
        ),
        (
            "our issuer and NUL",
            json!({ "iss": format!("{}\0", mint.session.claims["iss"].as_str().unwrap()) }),
            // No claim may hold one.
            "bad_jwt",
        ),
        (
            "our issuer in upper case",
            json!({ "iss": mint.session.claims["iss"].as_str().unwrap().to_uppercase() }),
            "bad_jwt_issuer",
        ),
        ("another audience", json!({ "aud": "somebody" }), "bad_jwt_audience"),
        ("other audiences", json!({ "aud": ["somebody", "else"] }), "bad_jwt_audience"),
        ("no audience", json!({ "aud": [] }), "bad_jwt_audience"),
        ("an empty audience", json!({ "aud": "" }), "bad_jwt_audience"),
        ("our audience in upper case", json!({ "aud": "AUTHENTICATED" }), "bad_jwt_audience"),
        ("our audience and a space", json!({ "aud": "authenticated " }), "bad_jwt_audience"),
        ("our audience and NUL", json!({ "aud": "authenticated\0" }), "bad_jwt"),
        ("audiences in one text", json!({ "aud": "authenticated somebody" }), "bad_jwt_audience"),
        ("expired", json!({ "exp": now - 1 }), "bad_jwt_expired"),
        ("expired long ago", json!({ "exp": 0 }), "bad_jwt_expired"),
        ("in milliseconds, made in the future", json!({ "iat": now * 1000 }), "bad_jwt_not_yet_valid"),
        ("made in the future", json!({ "iat": now + 60 }), "bad_jwt_not_yet_valid"),
        ("good in the future", json!({ "nbf": now + 60 }), "bad_jwt_not_yet_valid"),
        (
            "a session that is not here",
            json!({ "session_id": "00000000-0000-4000-8000-000000000000" }),
            "session_not_found",
        ),
    ] {
        mint.refuses(what, &mint.token(changes), name).await;
    }
    mint.believes("a list that holds our audience", &mint.token(json!({ "aud": ["somebody", "authenticated"] }))).await;
    mint.believes("clocks that differ a little", &mint.token(json!({ "iat": now + 2, "nbf": now + 2 }))).await;

    let other = Mint::new("other_installation").await;
    mint.refuses("another database's", &other.session.access_token, "bad_jwt_key").await;
    // Had both the same key, as a database and its copy may, the issuer would tell them apart.
    let issuer = &other.session.claims["iss"];
    mint.refuses("another database's, by our key", &mint.token(json!({ "iss": issuer })), "bad_jwt_issuer").await;
    mint.is_unharmed().await;
}

#[tokio::test]
async fn claims_that_are_missing_or_of_another_type() {
    let mint = Mint::new("types").await;
    let header = mint.header().to_string();
    for name in ["iss", "aud", "sub", "exp", "iat", "session_id"] {
        mint.refuses(&format!("no {name}"), &mint.token(json!({ name: null })), "bad_jwt").await;
        // A claim's name is compared exactly.
        let value = mint.session.claims[name].clone();
        for other in [name.to_uppercase(), format!("{}{}", name[..1].to_uppercase(), &name[1..]), format!("{name} ")] {
            let token = mint.token(json!({ name: null, other.as_str(): value }));
            mint.refuses(&format!("{other:?} for {name}"), &token, "bad_jwt").await;
        }
    }
    let now = now();
    let soon = now + 60;
    let numbers = [
        format!("\"{soon}\""),
        format!("[{soon}]"),
        format!("{soon}.0"),
        format!("{soon}.5"),
        format!("{soon}e0"),
        "-1".into(),
        "-0".into(),
        "1e308".into(),
        "1e309".into(),
        "1e999999999".into(),
        "-1e308".into(),
        "1e-1".into(),
        "9007199254740992".into(),
        "9223372036854775807".into(),
        "9223372036854775808".into(),
        "18446744073709551616".into(),
        format!("{}0", "9".repeat(400)),
        "true".into(),
        "null".into(),
        "{}".into(),
        "\"\"".into(),
        "\"never\"".into(),
    ];
    let texts = ["1", "null", "true", "[]", "{}", "[\"x\"]", "1e308"].map(String::from);
    let uuid = mint.session.user_id;
    let uuids = [
        "\"alice\"".into(),
        "\"\"".into(),
        format!("\"{}\"", uuid.simple()),
        format!("\"{}\"", uuid.braced()),
        format!("\"{}\"", uuid.urn()),
        format!("\"{uuid} \""),
        format!("\" {uuid}\""),
        format!("\"{uuid}\\u0000\""),
        format!("\"{}\"", uuid.to_string().replace('-', "_")),
        format!("[\"{uuid}\"]"),
        "\"' or true --\"".into(),
        format!("\"{}\"", "٠".repeat(18)),
    ];
    let lists = ["\"admin\"", "[1]", "[null]", "[[\"admin\"]]", "{\"admin\":true}", "1", "true", "[\"admin\",2]"];
    let lists = lists.map(String::from);
    let audiences = [
        "1",
        "null",
        "true",
        "{}",
        "[1]",
        "[\"authenticated\",1]",
        "[[\"authenticated\"]]",
        "{\"authenticated\":true}",
    ];
    let audiences = audiences.map(String::from);
    let optional = |values: &[String], empty: &[&str]| -> Vec<String> {
        values.iter().filter(|value| *value != "null" && !empty.contains(&value.as_str())).cloned().collect()
    };
    for (names, values) in [
        (["exp", "iat"].as_slice(), numbers.to_vec()),
        (&["nbf", "claims_version"], optional(&numbers, &[])),
        (&["sub", "session_id"], [texts.as_slice(), &uuids].concat()),
        (&["iss"], texts.to_vec()),
        (&["aud"], audiences.to_vec()),
        (&["role", "email", "org_id", "connection_id", "org_role"], optional(&texts, &[])),
        (&["org_roles", "groups", "permissions"], lists.to_vec()),
    ] {
        for name in names {
            for value in &values {
                // An empty list is a list, and of no audience but of the right type.
                let token = mint.sign(&header, &mint.claims_with(name, value));
                mint.refuses(&format!("{name}: {value:.80}"), &token, "bad_jwt").await;
            }
        }
    }
    for (name, value) in [("email", "null"), ("role", "null"), ("groups", "null"), ("groups", "[]"), ("nbf", "0")] {
        mint.believes(&format!("{name}: {value}"), &mint.sign(&header, &mint.claims_with(name, value))).await;
    }
    mint.is_unharmed().await;
}

#[tokio::test]
async fn payloads_that_two_readers_could_read_differently() {
    let mint = Mint::new("payloads").await;
    let header = mint.header().to_string();
    let good = mint.claims(json!({})).to_string();
    let with = |member: &str| good.replacen('{', &format!("{{{member},"), 1);
    let at_the_end = |member: &str| format!("{},{member}}}", &good[..good.len() - 1]);
    for (what, payload) in [
        ("a claim twice, ours last", with(r#""org_role":"owner""#)),
        ("a claim twice, ours first", at_the_end(r#""org_role":"owner""#)),
        ("sub twice, the same", at_the_end(&format!(r#""sub":"{}""#, mint.session.user_id))),
        ("sub twice, once escaped", with(r#""\u0073ub":"x""#)),
        ("an unknown claim twice", with(r#""x":1,"x":2"#)),
        ("half a surrogate pair", with(r#""x":"\ud800""#)),
        ("the wrong half", with(r#""x":"\udc00\ud800""#)),
        ("an unknown escape", with(r#""x":"\x41""#)),
        ("a raw line feed in a text", with("\"x\":\"a\nb\"")),
        ("NaN", with(r#""x":NaN"#)),
        ("a leading zero", with(r#""x":01"#)),
        ("a plus", with(r#""x":+1"#)),
        ("a comment", format!("{good}/* */")),
        ("a trailing comma", at_the_end(" ")),
        ("two objects", format!("{good}{good}")),
        ("a list of it", format!("[{good}]")),
        ("a text of it", json!(good).to_string()),
        ("a byte order mark", format!("\u{feff}{good}")),
        ("deep lists", with(&format!("\"x\":{}{}", "[".repeat(20_000), "]".repeat(20_000)))),
        ("deep objects", with(&format!("\"x\":{}1{}", "{\"a\":".repeat(5_000), "}".repeat(5_000)))),
        ("endless lists", with(&format!("\"x\":{}", "[".repeat(40_000)))),
        ("nothing", String::new()),
        ("a space", " ".into()),
        ("null", "null".into()),
        ("a list", "[]".into()),
        ("a text", "\"x\"".into()),
        ("a brace", "{".into()),
        ("two dots", "..".into()),
    ] {
        mint.refuses(what, &mint.sign(&header, &payload), "bad_jwt").await;
    }
    let sixteen: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (what, bytes) in [
        ("a byte that is none of UTF-8", b"\xff".as_slice()),
        ("an overlong slash", b"\xc0\xaf"),
        ("a surrogate as UTF-8", b"\xed\xa0\x80"),
        ("beyond Unicode", b"\xf4\x90\x80\x80"),
        ("half a character", b"\xc3"),
        ("a NUL byte", b"\0"),
    ] {
        let payload = [br#"{"x":""#.as_slice(), bytes, b"\",", &good.as_bytes()[1..]].concat();
        mint.refuses(what, &signed_by(&mint.key, &header, payload), "bad_jwt").await;
    }
    mint.refuses("UTF-16", &signed_by(&mint.key, &header, sixteen), "bad_jwt").await;

    // What JSON has and Postgres cannot hold: no reader may cut it short or answer with part of it.
    for name in ["email", "role", "org_id", "connection_id", "org_role", "x"] {
        mint.refuses(
            &format!("NUL in {name}"),
            &mint.sign(&header, &mint.claims_with(name, r#""a\u0000b""#)),
            "bad_jwt",
        )
        .await;
    }
    for name in ["groups", "org_roles", "permissions"] {
        let token = mint.sign(&header, &mint.claims_with(name, r#"["admin\u0000x"]"#));
        mint.refuses(&format!("NUL in {name}"), &token, "bad_jwt").await;
    }
    mint.refuses("NUL in a name", &mint.sign(&header, &with(r#""a\u0000b":1"#)), "bad_jwt").await;
    for number in ["1e200000", "-1e200000", "1e-200000"] {
        let token = mint.sign(&header, &with(&format!("\"x\":{number}")));
        mint.refuses(&format!("{number}, which numeric cannot hold"), &token, "bad_jwt").await;
    }
    mint.is_unharmed().await;
}

#[tokio::test]
async fn ill_formed_ones() {
    let mint = Mint::new("ill_formed").await;
    let good = mint.token(json!({}));
    let [header, payload, signed] = parts(&good);
    let standard = |part: &str| STANDARD.encode(URL_SAFE_NO_PAD.decode(part).unwrap());
    let mega = 1 << 20;
    for (what, token) in [
        ("nothing", String::new()),
        ("a dot", ".".into()),
        ("two dots", "..".into()),
        ("one part", header.to_owned()),
        ("two parts", format!("{header}.{payload}")),
        ("four parts", format!("{good}.x")),
        ("a dot behind", format!("{good}.")),
        ("a dot in front", format!(".{good}")),
        ("five parts, as JWE has", format!("{header}.{payload}.{signed}.{payload}.{signed}")),
        ("no header", format!(".{payload}.{signed}")),
        ("no payload", mint.sign(&mint.header().to_string(), "")),
        ("cut in the signature", good[..good.len() - 1].to_owned()),
        // One character alone is no byte.
        ("cut in the payload", format!("{header}.{}.{signed}", &payload[..payload.len() / 4 * 4 - 3])),
        ("commas for dots", good.replace('.', ",")),
        ("wide dots", good.replace('.', "。")),
        ("dots by percent", good.replace('.', "%2E")),
        ("Bearer", format!("Bearer {good}")),
        ("quotes", format!("\"{good}\"")),
        ("JSON serialization", json!({ "protected": header, "payload": payload, "signature": signed }).to_string()),
        ("wide letters", good.replace('e', "ｅ")),
        ("long nonsense", "x".repeat(60_000)),
        ("as long as allowed", format!("{good}.{}", "A".repeat(64 * 1024 - good.len() - 1))),
        ("1 MB of A", "A".repeat(mega)),
        ("1 MB of dots", ".".repeat(mega)),
        ("1 MB behind a good one", format!("{good}{}", "A".repeat(mega))),
        ("1 MB of claims, well signed", mint.token(json!({ "x": "y".repeat(mega) }))),
        ("1 MB that is not ASCII", "ж".repeat(mega / 2)),
        ("not ASCII", "ä.ö.ü".into()),
        ("SQL", "'; select 1; --".into()),
        ("a format", "%s%n.%s.%s".into()),
    ] {
        mint.refuses(what, &token, "bad_jwt").await;
    }
    for at in [
        0,
        header.len() / 2,
        header.len(),
        header.len() + 1,
        header.len() + 9,
        good.len() - signed.len(),
        good.len() - 9,
        good.len(),
    ] {
        for between in [
            " ", "\t", "\n", "\r\n", "\u{b}", "\u{c}", "\u{a0}", "\u{feff}", "\u{200b}", "=", "==", "+", "/", "-_é",
            "~",
        ] {
            let token = format!("{}{between}{}", &good[..at], &good[at..]);
            mint.refuses(&format!("{between:?} at {at}"), &token, "bad_jwt").await;
        }
    }
    // The other alphabet and padding, in each part, signed as they stand.
    let claims = mint.claims(json!({ "x": "???>>>~~~" })).to_string();
    let padded = GeneralPurpose::new(&URL_SAFE, GeneralPurposeConfig::new());
    let head = mint.header().to_string();
    let mut told_apart = 0;
    for (what, header, payload) in [
        ("the other alphabet in the payload", encode(&head), STANDARD.encode(&claims)),
        ("padding in the payload", encode(&head), padded.encode(&claims)),
        ("padding in the header", padded.encode(&head), encode(&claims)),
        ("lines in the payload", encode(&head), encode(&claims).replacen("c", "c\r\n", 1)),
    ] {
        let signed = format!("{header}.{payload}");
        if signed == format!("{}.{}", encode(&head), encode(&claims)) {
            continue;
        }
        told_apart += 1;
        let token = format!("{signed}.{}", signature(&mint.key, &signed));
        mint.refuses(what, &token, "bad_jwt").await;
    }
    assert!(told_apart >= 2, "the alphabets do not differ here");
    mint.refuses("a padded signature", &format!("{header}.{payload}.{}", standard(signed)), "bad_jwt").await;
    // 64 bytes leave four bits of the last character unused: one encoding has zeros there, fifteen others have not.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = alphabet.find(&signed[85..]).unwrap();
    for unused in 1..16 {
        let other = &alphabet[last + unused..=last + unused];
        mint.refuses("unused bits", &format!("{header}.{payload}.{}{other}", &signed[..85]), "bad_jwt").await;
    }
    mint.is_unharmed().await;
}

#[tokio::test]
async fn bytes_that_no_text_has() {
    let mint = Mint::new("bytes").await;
    let user = mint.bed.role("user", "").await;
    let good = mint.token(json!({}));
    let alice = mint.session.user_id.to_string();
    let (mut wire, hello) = Wire::connect(mint.bed.cluster, &mint.bed.database, &user, &[]).await;
    assert_eq!(hello.refusal, None);
    let set = format!("select auth.set_session('{good}', false)");
    assert_eq!(wire.query(set.as_bytes()).await.refusal, None);
    let half = good.len() / 2;
    for (what, bytes) in [
        ("NUL", b"\0".as_slice()),
        ("0xff", b"\xff"),
        ("overlong", b"\xc0\x80"),
        ("a surrogate", b"\xed\xa0\x80"),
        ("half a character", b"\xc3"),
    ] {
        for token in [
            [good.as_bytes(), bytes].concat(),
            [bytes, good.as_bytes()].concat(),
            [&good.as_bytes()[..half], bytes, &good.as_bytes()[half..]].concat(),
        ] {
            for call in ["select auth.set_session($1, false)", "select auth.verify_token($1)"] {
                let refusal = wire.query_with(call.as_bytes(), &token).await.refusal.expect(what);
                assert_eq!(refusal.sqlstate, "22021", "{what}: {refusal}");
                assert!(!refusal.to_string().contains(&good[half..half + 12]), "{what}: {refusal}");
            }
            // The protocol ends a query's text at NUL; what follows is an error of the protocol.
            if bytes != b"\0" {
                let set = [b"set workos_auth.session_token = '", token.as_slice(), b"'"].concat();
                assert_eq!(wire.query(&set).await.refusal.expect(what).sqlstate, "22021", "{what}");
            }
            let still = wire.query(b"select auth.uid()").await;
            assert_eq!((still.rows, still.refusal), (vec![alice.clone()], None), "{what}");
        }
    }
    // In another encoding of the client's these are letters, and then there is no such token.
    for encoding in ["LATIN1", "WIN1252", "SQL_ASCII"] {
        wire.query(format!("set client_encoding = '{encoding}'").as_bytes()).await;
        let token = [good.as_bytes(), b"\xe4"].concat();
        let refusal = wire.query_with(b"select auth.verify_token($1)", &token).await.refusal.expect(encoding);
        assert!(["WA501", "22021"].contains(&&*refusal.sqlstate), "{encoding}: {refusal}");
        assert_eq!(wire.query(b"select auth.uid()").await.rows, [alice.as_str()], "{encoding}");
    }
}

#[tokio::test]
async fn older_than_the_persons_rights() {
    let mint = Mint::new("stale").await;
    let token = mint.token(json!({}));
    mint.believes("as new as the session", &token).await;
    mint.bed.admin.batch_execute("update auth.sessions set claims_version = 1").await.unwrap();
    let newer: Value = json!({ "claims_version": 1 });
    for call in ["select auth.verify_token($1)", "select auth.set_session($1)"] {
        workos_end_to_end::refused(mint.app.query(call, &[&token]).await, "session_stale");
    }
    mint.believes("as new as the rights", &mint.token(newer)).await;
}
