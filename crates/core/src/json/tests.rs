#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use proptest::prelude::*;
use serde_json::json;

use super::*;

const NUMBER: &str = "$serde_json::private::Number";
const RAW: &str = "$serde_json::private::RawValue";

/// An object as it is: `json!` writes names as they are.
fn object(name: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(name.to_owned(), value)]))
}

#[test]
fn a_member_stays_a_member_whatever_it_is_called() {
    for name in [NUMBER, RAW] {
        let escaped = name.replace('$', "\\u0024");
        for value in [json!("1"), json!("x"), json!("[1,"), json!(null), json!({ "a": [1.5] }), json!("1e5")] {
            let wanted = object(name, value.clone());
            for text in [format!("{{\"{name}\":{value}}}"), format!(" {{ \"{escaped}\" : {value} }}")] {
                assert_eq!(parse(&text).unwrap(), wanted, "{text}");
                assert_eq!(parse(&format!("[{text}]")).unwrap(), json!([wanted]), "{text}");
                assert_eq!(
                    parse(&format!("{{\"a\":{{\"b\":{text}}}}}")).unwrap(),
                    json!({"a": {"b": wanted}}),
                    "{text}"
                );
                let beside = parse(&format!("{{\"{name}\":{value},\"z\":1}}")).unwrap();
                assert_eq!((&beside[name], &beside["z"]), (&value, &json!(1)), "{text}");
            }
            assert_eq!(parse(&wanted.to_string()).unwrap(), wanted);
        }
    }
}

#[test]
fn typed_readers_take_nothing_apart_either() {
    #[derive(Deserialize, Debug)]
    struct Typed {
        any: Free,
        none: Option<Free>,
        #[serde(default)]
        missing: Free,
    }
    let inner = format!(r#"{{"{RAW}":"[1,"}}"#);
    let typed: Typed = read(format!(r#"{{"any":{inner},"none":null}}"#).as_bytes()).unwrap();
    assert_eq!((typed.any.0, typed.none), (object(RAW, json!("[1,")), None));
    assert_eq!(typed.missing.0, Value::Null);
    assert!(read::<Typed>(br#"{"none":1}"#).is_err());
    assert!(read::<Free>(b"\"\xff\"").is_err());
}

#[test]
fn numbers_keep_their_digits() {
    for text in
        ["0", "-0", "1.0", "1.50", "1e5", "-1.5E-7", "18446744073709551616", "123456789012345678901234567890.10"]
    {
        let value = parse(&format!("[{text}]")).unwrap();
        let theirs: Value = serde_json::from_str(&format!("[{text}]")).unwrap();
        assert_eq!((&value, value.to_string()), (&theirs, theirs.to_string()), "{text}");
    }
}

#[test]
fn depth_has_a_limit() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = |levels: usize| format!("{}1{}", open.repeat(levels), close.repeat(levels));
        assert!(parse(&deep(MAX_DEPTH)).is_ok(), "{open}");
        assert!(parse(&deep(MAX_DEPTH + 1)).is_err(), "{open}");
        assert!(parse(&deep(200_000)).is_err(), "{open}");
    }
}

#[test]
fn what_is_no_json_is_refused() {
    for text in ["", "{", "[1,]", "1 2", r#""\ud800""#, r#"{"\ud800":1}"#, "01", "NaN", "{1:2}", "{null:1}", "nul"] {
        assert!(parse(text).is_err(), "{text}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let name = prop_oneof![Just(NUMBER.to_owned()), Just(RAW.to_owned()), any::<String>(), "[a-c]"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "-?[1-9][0-9]{0,30}\\.[0-9]{1,9}(e-?[0-9]{1,3})?".prop_map(|digits| Value::Number(digits.parse().unwrap())),
        any::<String>().prop_map(Value::from),
        Just(json!("[1,")),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

#[test]
fn halves_of_surrogate_pairs_are_replaced_and_nothing_else() {
    for (text, whole) in [
        (r#""\ud83d""#, r#""\ufffd""#),
        (r#""\uDE00\ud83d\ude00\uD83D""#, r#""\ufffd\ud83d\ude00\ufffd""#),
        (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
        (r#""\ud83dé\u00e9""#, r#""\ufffdé\u00e9""#),
        // An escaped backslash begins nothing.
        (r#""\\ud83d \\\ud83d \n\"""#, r#""\\ud83d \\\ufffd \n\"""#),
        // What is no JSON is nobody's business here.
        (r#""\u+83d\ud8"#, r#""\u+83d\ud8"#),
        ("\\", "\\"),
    ] {
        assert_eq!(whole_characters(text), whole);
    }
}

proptest! {
    #[test]
    fn what_is_whole_stays_as_it_is(value in any_json()) {
        let text = value.to_string();
        prop_assert_eq!(whole_characters(&text), text.as_str());
    }

    #[test]
    fn whatever_javascript_writes_can_be_read(units in prop::collection::vec(any::<u16>(), 0..8)) {
        let escaped: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
        let read = parse(&whole_characters(&format!("\"{escaped}\""))).unwrap();
        prop_assert_eq!(read, Value::from(String::from_utf16_lossy(&units)));
    }

    #[test]
    fn what_is_written_is_read_as_it_was(value in any_json()) {
        prop_assert_eq!(&parse(&value.to_string()).unwrap(), &value);
        prop_assert_eq!(&parse(&serde_json::to_string_pretty(&value).unwrap()).unwrap(), &value);
    }

    #[test]
    fn other_json_is_read_as_serde_json_reads_it(text in ".{0,40}|[\\[\\]{}:,\"a\\\\u0024 1.e-]{0,30}") {
        let theirs = serde_json::from_str::<Value>(&text).ok();
        prop_assert_eq!(parse(&text).ok(), theirs);
    }
}
