//! Values in and out.

use pgrx::prelude::*;

use crate::postgres::bare_function;

bare_function::functions! {
    /// Whether a text is as long as a function without a guard should find it.
    fn test_is_long(arguments) { Some(arguments.text(0)?.len() == 9_000) }
}

#[pg_schema]
mod tests {
    use workos_auth_core::jsonb::of_object;
    use workos_auth_core::{ErrorCode, Result};

    use super::*;
    use crate::pg_test::fixture::{quoted, run, sqlstate_of, text, text_or_null};
    use crate::postgres::jsonb::{Built, Jsonb};
    use crate::postgres::record::Record;
    use crate::postgres::uuid::{from_postgres, to_postgres};
    use crate::postgres::varlena::{Uuid, Varlena};

    /// How many members an object has; -1 for what cannot be read.
    #[pg_extern]
    fn members(json: Option<Jsonb>) -> Option<i64> {
        let members = json?.parse().and_then(|value| value.as_object().map(serde_json::Map::len));
        Some(members.map_or(-1, |members| i64::try_from(members).unwrap()))
    }

    /// A row of two columns.
    #[pg_extern(sql = false)]
    fn test_record(is_null: bool) -> Record {
        Record::default().with((!is_null).then(|| "text")).with(7_i32)
    }

    /// The bytes of a value behind its header, in hexadecimal digits.
    #[pg_extern]
    fn payload_of(json: Option<Jsonb>) -> Option<String> {
        let json = json?.raw()?;
        let payload = Varlena::jsonb(None, json.get()).unwrap();
        Some(hex(payload.payload()))
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    const OBJECTS: [&str; 8] = [
        "{}",
        r#"{"a": 1}"#,
        r#"{"b": null, "a": true, "aa": false, "": "x"}"#,
        r#"{"sub": "9e107d9d-372b-4e08-8a2f-5a5b1d1f7b3a", "exp": 1767225600, "groups": ["engineering", "admins"]}"#,
        r#"{"n": [0, -1, 0.1, 1.50, 12345678901234567890.123456789, 1e20, -2.5e-7, 10000, 99999999]}"#,
        r#"{"deep": {"deeper": [[{"x": [1, {"y": []}]}], {}]}}"#,
        r#"{"words": "größer als 😀", "escaped": "\"\\\n\t\u00e4"}"#,
        r#"{"twice": 1, "twice": 2}"#,
    ];

    #[pg_test]
    fn a_text_is_what_it_was() {
        for length in [0, 1, 3, 4, 126, 127, 128, 8_000, 100_000] {
            let given = "ä".repeat(length);
            let built = Varlena::text(&given);
            assert_eq!(built.payload(), given.as_bytes(), "{length}");
            // SAFETY: texts, as they are built and as a copy in this memory context.
            let read = unsafe {
                [String::from_datum(built.datum(), false).unwrap(), String::from_datum(built.copied(), false).unwrap()]
            };
            assert!(read.iter().all(|read| *read == given), "{length}");
        }
    }

    #[pg_test]
    fn a_jsonb_is_what_postgres_makes_of_the_text() {
        for json in OBJECTS {
            let expected = text(&format!("select {}::jsonb", quoted(json)));
            let built = Built::of(json).unwrap().into_datum().unwrap();
            // SAFETY: a jsonb in this memory context.
            let read = unsafe { Jsonb::from_datum(built, false) }.unwrap().raw().unwrap();
            assert_eq!(read.get(), expected, "{json}");
        }
    }

    #[pg_test]
    fn a_jsonb_that_core_builds_is_postgres_own_to_the_byte() {
        let mut built_by_core = 0;
        for json in OBJECTS {
            let Some(payload) = of_object(json) else { continue };
            built_by_core += 1;
            assert_eq!(text(&format!("select tests.payload_of({}::jsonb)", quoted(json))), hex(&payload), "{json}");
        }
        assert!(built_by_core >= 5, "core left {} of them to Postgres", OBJECTS.len() - built_by_core);
    }

    #[pg_test]
    fn a_jsonb_argument_may_be_compressed_or_stored_elsewhere() {
        run("create temp table stored (storage text, value jsonb)");
        let object = "select jsonb_object_agg('member ' || n, repeat('x', 100)) from generate_series(1, 500) as n";
        for storage in ["plain", "main", "external", "extended"] {
            let object = if storage == "plain" { "select jsonb_build_object('a', 1)" } else { object };
            run(&format!(
                "alter table stored alter value set storage {storage}; insert into stored select '{storage}', ({object})"
            ));
        }
        let found = "select string_agg(storage || ' ' || tests.members(value), ', ' order by storage) from stored";
        assert_eq!(text(found), "extended 500, external 500, main 500, plain 1");
        assert_eq!(text_or_null("select tests.members(null)"), None);
    }

    #[pg_test]
    fn a_jsonb_that_is_too_deep_or_has_too_many_digits_is_told() {
        let deep = |levels: usize| {
            format!(
                "select tests.members(('{{\"a\":' || repeat('[', {levels}) || repeat(']', {levels}) || '}}')::jsonb)"
            )
        };
        assert_eq!((text(&deep(100)), text(&deep(1_000))), ("1".into(), "-1".into()));
        // Nine bytes each, and 131,072 digits when they are written out.
        let digits = |count: usize| {
            format!("select tests.members(('{{\"a\":[' || rtrim(repeat('1e131071,', {count}), ',') || ']}}')::jsonb)")
        };
        assert_eq!((text(&digits(7)), text(&digits(100))), ("1".into(), "-1".into()));
    }

    #[pg_test]
    fn what_jsonb_cannot_hold_is_postgres_own_error() {
        let statement = r#"select tests.built('{"a": "\u0000"}')"#;
        assert_eq!(sqlstate_of(statement), "22P05");
        assert_eq!(sqlstate_of("select tests.built('{\"a\": 1e200000}')"), "22003");
        assert_eq!(text("select tests.built('{\"a\": 1}')"), r#"{"a": 1}"#);
    }

    #[pg_extern]
    fn built(json: &str) -> Built {
        crate::error::or_raise(Built::of(json))
    }

    #[pg_test]
    fn a_text_argument_without_a_guard_may_be_compressed_or_stored_elsewhere() {
        run(
            "create function pg_temp.is_long(text) returns boolean language c as '$libdir/workos_auth', 'workos_auth_test_is_long'",
        );
        run("create temp table stored (storage text, value text)");
        for storage in ["plain", "main", "external", "extended"] {
            let length = if storage == "plain" { 5_000 } else { 9_000 };
            run(&format!(
                "alter table stored alter value set storage {storage}; insert into stored select '{storage}', repeat('x', {length})"
            ));
        }
        run("insert into stored values ('null', null), ('short', 'x')");
        let found = "select string_agg(storage || ' ' || coalesce(pg_temp.is_long(value)::text, 'null'), ', ' order by storage) from stored";
        assert_eq!(text(found), "extended true, external true, main true, null null, plain false, short false");
        assert_eq!(text("select pg_temp.is_long(repeat('x', 9000))"), "true");
    }

    #[pg_test]
    fn an_id_is_the_same_on_either_side() {
        let written = "9e107d9d-372b-4e08-8a2f-5a5b1d1f7b3a";
        let id = from_postgres(Spi::get_one(&format!("select '{written}'::uuid")).unwrap().unwrap());
        assert_eq!((id.to_string().as_str(), from_postgres(to_postgres(id))), (written, id));
        let held = Uuid::new(id);
        for datum in [held.datum(), held.copied()] {
            // SAFETY: a uuid, as it is held and as a copy in this memory context.
            let read = unsafe { pgrx::Uuid::from_datum(datum, false) }.unwrap();
            assert_eq!(from_postgres(read), id);
        }
    }

    #[pg_test]
    fn a_row_is_of_the_columns_that_the_function_is_declared_with() -> Result<()> {
        let declare = |columns: &str| {
            format!(
                "create function pg_temp.test_record(is_null boolean, {columns}) language c as '$libdir/workos_auth', 'test_record_wrapper'"
            )
        };
        run(&declare("out a text, out b int"));
        assert_eq!(text("select a || b from pg_temp.test_record(false)"), "text7");
        assert_eq!(text("select coalesce(a, 'null') || b from pg_temp.test_record(true)"), "null7");
        for columns in ["out a text, out b int, out c int", "out a text"] {
            run("drop function pg_temp.test_record");
            run(&declare(columns));
            assert_eq!(
                sqlstate_of("select pg_temp.test_record(false)"),
                ErrorCode::ExtensionOutdated.sqlstate(),
                "{columns}"
            );
        }
        Ok(())
    }
}
