#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;

#[test]
fn what_is_an_address() {
    let longest_local = format!("{}@acme.test", "a".repeat(64));
    let label = "d".repeat(63);
    let longest = format!("{}@{label}.{label}.{label}.{}", "a".repeat(41), "e".repeat(20));
    assert_eq!(longest.len(), MAX_BYTES);
    for good in [
        "ann@acme.test",
        "Ann.O'Brien+tag@Acme-Widgets.example.COM",
        "!#$%&'*+-/=?^_`{|}~@acme.test",
        "bea_globex.test#EXT#@acme.onmicrosoft.com",
        "a@b",
        "1@2.test",
        "ann@xn--bcher-kva.example",
        "JÜRGEN@initech.com",
        "ann@bücher.example",
        "用户@例子.广告",
        "अजय@डाटा.भारत",
        "हिन्दी@उदाहरण.परीक्षा",
        "e\u{301}ve@acme.test",
        "δοκιμή@παράδειγμα.δοκιμή",
        &longest_local,
        &longest,
    ] {
        assert_eq!(parse(good), Ok(good));
        for around in [format!(" {good}"), format!("{good} "), format!("\t  {good} \t")] {
            assert_eq!(parse(&around), Ok(good), "{around:?}");
        }
    }
}

#[test]
fn what_is_none_says_why() {
    for (bad, why) in [
        ("", "is empty"),
        ("  \t", "is empty"),
        ("ann", "has no @"),
        ("mallory@acme.test@evil.test", "more than one @"),
        ("\"mallory@acme.test\"@evil.test", "more than one @"),
        ("ann@@acme.test", "more than one @"),
        ("@", "before its @"),
        ("@acme.test", "before its @"),
        ("<ann@acme.test>", "before its @"),
        ("Ann <ann@acme.test", "before its @"),
        ("a,b@acme.test", "before its @"),
        ("a;b@acme.test", "before its @"),
        ("a:b@acme.test", "before its @"),
        ("(c)ann@acme.test", "before its @"),
        ("\"ann\"@acme.test", "before its @"),
        ("\"a b\"@acme.test", "before its @"),
        ("a\\b@acme.test", "before its @"),
        ("[a]@acme.test", "before its @"),
        ("al ice@acme.test", "before its @"),
        ("ann @acme.test", "before its @"),
        (".ann@acme.test", "before its @"),
        ("ann.@acme.test", "before its @"),
        ("a..n@acme.test", "before its @"),
        ("mailto:ann@acme.test", "before its @"),
        ("\u{301}ann@acme.test", "before its @"),
        ("a\u{2019}n@acme.test", "before its @"),
        (&format!("{}@acme.test", "a".repeat(65)), "before its @"),
        ("ann@", "behind its @"),
        ("ann@ acme.test", "behind its @"),
        ("ann@.acme.test", "behind its @"),
        ("ann@acme.test.", "behind its @"),
        ("ann@acme..test", "behind its @"),
        ("ann@-acme.test", "behind its @"),
        ("ann@acme-.test", "behind its @"),
        ("ann@acme_widgets.test", "behind its @"),
        ("ann@acme.test>", "behind its @"),
        ("ann@acme.test,eve", "behind its @"),
        ("ann@acme.test/x", "behind its @"),
        ("ann@acme.test:25", "behind its @"),
        ("ann@[127.0.0.1]", "behind its @"),
        ("ann@acme\u{3002}test", "behind its @"),
        ("ann@acme.\u{338}test", "behind its @"),
        ("ann@acme\u{2024}test", "behind its @"),
        (&format!("ann@{}.test", "d".repeat(64)), "behind its @"),
        ("ann\u{ff20}acme.test", "has no @"),
        ("ann@acme.test\n", "nobody sees"),
        ("ann@acme.test\r\nBcc: eve@evil.test", "nobody sees"),
        ("a\0@acme.test", "nobody sees"),
        ("a\u{7f}@acme.test", "nobody sees"),
        ("a\u{85}@acme.test", "nobody sees"),
        ("ann@acme.test\u{a0}", "nobody sees"),
        ("a\u{ad}nn@acme.test", "nobody sees"),
        ("a\u{34f}nn@acme.test", "nobody sees"),
        ("a\u{115f}nn@acme.test", "nobody sees"),
        ("a\u{3164}nn@acme.test", "nobody sees"),
        ("a\u{fe0f}nn@acme.test", "nobody sees"),
        ("a\u{200b}nn@acme.test", "nobody sees"),
        ("a\u{200d}nn@acme.test", "nobody sees"),
        ("a\u{202e}nn@acme.test", "nobody sees"),
        ("a\u{2066}nn@acme.test", "nobody sees"),
        ("ann@ac\u{2060}me.test", "nobody sees"),
        ("ann@acme.test\u{feff}", "nobody sees"),
        ("ann@acme\u{2028}.test", "nobody sees"),
        ("a\u{e000}@acme.test", "nobody sees"),
        ("a\u{378}@acme.test", "nobody sees"),
        ("a\u{e0061}@acme.test", "nobody sees"),
        ("a\u{fffe}@acme.test", "nobody sees"),
        (&format!("{}@acme.test", "a".repeat(300)), "longer than 254 bytes"),
        (&"@".repeat(1_000_000), "longer than 254 bytes"),
    ] {
        let refused = parse(bad).expect_err(bad);
        assert!(refused.contains(why), "{bad:?}: {refused}");
        assert_eq!(domain(bad), None, "{bad:?}");
    }
}

#[test]
fn the_domain_is_what_a_policy_reads() {
    assert_eq!(domain("Ann@ACME.test").as_deref(), Some("acme.test"));
    assert_eq!(domain("ann@BÜCHER.test").as_deref(), Some("bÜcher.test"));
    // As it was stored before there were rules.
    for stored in ["mallory@acme.test@evil.test", "ann@acme.test ", " ann@acme.test", "ann", ""] {
        assert_eq!(domain(stored), None, "{stored:?}");
    }
}

#[test]
fn domains() {
    let longest = format!("{0}.{0}.{0}.{1}", "d".repeat(63), "d".repeat(61));
    for good in ["acme.test", "a", "a-b.c--d.e", "bücher.example", "123.test", &longest] {
        assert!(is_domain(good), "{good}");
    }
    for bad in [
        "",
        ".",
        "acme.test.",
        ".test",
        "a..b",
        "a b",
        " acme.test",
        "acme.test\n",
        "a@b",
        "*.acme.test",
        "a_b",
        &format!("d{longest}"),
    ] {
        assert!(!is_domain(bad), "{bad:?}");
    }
}

proptest! {
    #[test]
    fn both_sides_are_told_by_the_only_at(text in "[a-z.@ \"<>,é\u{200b}-]{0,12}|\\PC{0,8}@\\PC{0,8}") {
        if let Ok(address) = parse(&text) {
            let sides: Vec<&str> = address.split('@').collect();
            prop_assert_eq!(sides.len(), 2, "{}", address);
            prop_assert!(!address.contains(char::is_whitespace) && !address.contains(char::is_control));
            prop_assert!(!address.contains(['"', '<', '>', ',', ';', '\\', '(', ')', '[', ']', ':']));
            prop_assert_eq!(parse(address), Ok(address));
            let lower = address.to_ascii_lowercase();
            prop_assert_eq!(parse(&lower), Ok(&*lower));
            prop_assert_eq!(domain(address), Some(sides[1].to_ascii_lowercase()));
        }
    }
}
