//! The claims as `jsonb`, which the extension builds itself: to the byte what Postgres makes of the same text.

use fastrand::Rng;
use serde_json::json;
use workos_end_to_end::Mint;

/// Whether the image of the one is that of the other, not only that they are equal.
const SAME: &str =
    "select record_image_eq(row(auth.verify_token($1)), row($2::text::jsonb)), auth.verify_token($1)::text";

async fn is_same(mint: &Mint, value: &str) {
    let payload = mint.claims_with("user_metadata", value);
    let row = mint.app.query_one(SAME, &[&mint.sign(&mint.header().to_string(), &payload), &payload]).await.unwrap();
    assert!(row.get::<_, bool>(0), "{payload}\nis\n{}", row.get::<_, String>(1));
}

/// A JSON text at random: names that repeat, lengths around the 32 entries at which jsonb notes an offset, numbers of every kind.
fn document(rng: &mut Rng, depth: u32) -> String {
    let count = |rng: &mut Rng| if rng.u8(..4) == 0 { rng.usize(28..70) } else { rng.usize(..5) };
    match rng.u8(..if depth == 0 { 7 } else { 10 }) {
        0 => "null".into(),
        1 => rng.bool().to_string(),
        2 => (rng.u64(..) >> rng.u32(..64)).to_string(),
        3 => (rng.i64(..) >> rng.u32(..64)).to_string(),
        4 => [
            "0",
            "-0",
            "1.50",
            "1e3",
            "-2.5E-7",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775808",
        ][rng.usize(..8)]
        .into(),
        5 | 6 => text(rng),
        7 => {
            let items: Vec<String> = (0..count(rng)).map(|_| document(rng, depth - 1)).collect();
            format!("[{}]", items.join(", "))
        }
        _ => {
            let member = |rng: &mut Rng| format!("{} :{}", text(rng), document(rng, depth - 1));
            let members: Vec<String> = (0..count(rng)).map(|_| member(rng)).collect();
            format!("{{{}}}", members.join(","))
        }
    }
}

fn text(rng: &mut Rng) -> String {
    const PIECES: &[&str] =
        &["a", "b", "ab", "é", "漢", "😀", "\\n", "\\\"", "\\u00e9", "\\ud83d\\ude00", "\\/", " ", "10"];
    let pieces: String = (0..rng.usize(..4)).map(|_| PIECES[rng.usize(..PIECES.len())]).collect();
    format!("\"{pieces}\"")
}

#[tokio::test]
async fn documents_at_random_are_what_postgres_makes_of_them() {
    let mint = Mint::new("jsonb_random").await;
    let mut rng = Rng::with_seed(7);
    let mut tried = 0;
    while tried < 1000 {
        let value = document(&mut rng, 3);
        if value.len() < 20_000 {
            is_same(&mint, &value).await;
            tried += 1;
        }
    }
}

#[tokio::test]
async fn the_edges_are_what_postgres_makes_of_them() {
    let mint = Mint::new("jsonb_edges").await;
    for power in 0..20 {
        for near in [-1_i128, 0, 1] {
            let number = 10_i128.pow(power) + near;
            is_same(&mint, &format!("[{number}, {}, {}]", -number, number * 10_000)).await;
        }
    }
    let members = |count: usize| (0..count).map(|at| format!("\"{at}\":[{at}]")).collect::<Vec<_>>().join(",");
    for count in [15, 16, 17, 31, 32, 33, 63, 64, 65, 1000] {
        is_same(&mint, &format!("{{{}}}", members(count))).await;
    }
    for value in [
        r#"{"a":1,"a":{"b":2},"a":null,"":[],"\u0061":"last"}"#.to_owned(),
        r#"{"$serde_json::private::Number":"1"}"#.to_owned(),
        r#"[{"$serde_json::private::Number":"1","a":2}]"#.to_owned(),
        r#"{"$serde_json::private::RawValue":"[1]"}"#.to_owned(),
        format!("{}{}", "[".repeat(120), "]".repeat(120)),
        json!("x".repeat(40_000)).to_string(),
    ] {
        is_same(&mint, &value).await;
    }
}
