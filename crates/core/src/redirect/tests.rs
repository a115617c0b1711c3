#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::LazyLock;

use proptest::prelude::*;
use url::Url;

use super::target::{MAX_URL_BYTES, has_dot_segment};
use super::*;

mod urls;

fn urls(site_url: Option<&str>, patterns: &[&str]) -> RedirectUrls {
    let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
    RedirectUrls::new(site_url, &patterns).unwrap()
}

#[test]
fn the_table_of_urls() {
    let rules = urls(Some("https://app.example.com/home"), urls::LIST);
    for &(url, why) in urls::ALLOWED {
        assert_eq!(rules.check(url), Ok(()), "{url:?} ({why}) should be allowed");
    }
    let code = |url: &str| rules.check(url).map_err(|error| error.code());
    for &(url, why) in urls::NOT_ALLOWED {
        assert_eq!(code(url), Err(ErrorCode::RedirectToNotAllowed), "{url:?}: {why}");
    }
    for &(url, why) in urls::MALFORMED {
        assert_eq!(code(url), Err(ErrorCode::RedirectToMalformed), "{url:?}: {why}");
    }
    let long = format!("https://app.example.com/{}", "a".repeat(MAX_URL_BYTES));
    assert_eq!(code(&long), Err(ErrorCode::RedirectToMalformed));
}

#[test]
fn nothing_is_allowed_by_default() {
    let rules = urls(None, &[]);
    for url in ["https://app.example.com/", "http://localhost/", "http://127.0.0.1:3000/", "myapp://callback"] {
        assert_eq!(rules.check(url).unwrap_err().code(), ErrorCode::RedirectToNotAllowed, "{url}");
    }
    assert!(urls(Some(""), &[]).check("https://app.example.com/").is_err());
}

/// The vectors that Supabase Auth tests its rule with: where it says yes to the site's own, so do we.
#[test]
fn the_site_is_scheme_host_and_port() {
    for (site, url, wanted) in [
        ("https://example.com", "https://example.com/path", true),
        ("https://example.com", "http://example.com/path", false),
        ("https://example.com", "https://example.com:8443/path", false),
        ("http://example.com", "https://example.com/path", false),
        ("https://example.com:9000", "https://example.com:9000/path", true),
        ("https://example.com:9000", "https://example.com/path", false),
        ("https://example.com:9000", "https://example.com:9001/path", false),
        ("http://localhost:3000", "http://localhost:8080/callback", true),
        ("http://localhost:3000", "http://localhost/callback", true),
        ("http://127.0.0.1:3000", "http://127.0.0.1:8080/callback", true),
        ("https://localhost:3000", "http://localhost:8080/callback", false),
        // Where it compares texts, we compare what they mean.
        ("https://example.com:443/home?x#y", "https://EXAMPLE.com/path", true),
        ("http://example.com:80", "http://example.com", true),
        ("http://example.com:443", "https://example.com", false),
        // Where it says yes to every loopback address, or to a user name, we do not.
        ("https://example.com", "http://127.0.0.1:8080/callback", false),
        ("https://example.com", "http://[::1]/", false),
        ("https://example.com", "myapp://localhost/", false),
        ("https://example.com", "https://user@example.com/path", false),
        ("http://[::1]:3000", "http://[::1]:9/", true),
        ("http://192.0.2.1:3000", "http://192.0.2.1:3000/x", true),
        ("http://192.0.2.1:3000", "http://192.0.2.1:3001/x", false),
    ] {
        assert_eq!(urls(Some(site), &[]).check(url).is_ok(), wanted, "{site} and {url}");
    }
}

#[test]
fn a_loopback_site_opens_loopback_on_its_scheme_only() {
    let rules = urls(Some("http://localhost:3000"), &[]);
    for url in [
        "http://localhost:3000/",
        "http://localhost/x",
        "http://127.0.0.1:5173/x",
        "http://127.255.0.9/x",
        "http://[::1]:8080/x",
    ] {
        assert_eq!(rules.check(url), Ok(()), "{url}");
    }
    for url in [
        "https://localhost:3000/",
        "http://10.0.0.1:3000/",
        "http://localhost.example.com/",
        "http://localhost.:3000/",
        "http://app.localhost:3000/",
        "http://0.0.0.0:3000/",
        "http://128.0.0.1/",
        "http://[::]:3000/",
        "http://[::2]/",
        "http://[::ffff:7f00:1]:3000/",
        "http://user@localhost:3000/",
        "myapp://localhost/",
    ] {
        assert!(rules.check(url).is_err(), "{url}");
    }
    // And a site elsewhere opens none.
    assert!(urls(Some("http://192.168.0.1:3000"), &[]).check("http://192.168.0.1:3001/").is_err());
}

#[test]
fn the_detail_shows_scheme_host_and_port_only() {
    let error = urls(None, &[]).check("https://u.example/path-secret?code=secret#secret").unwrap_err();
    assert_eq!(error.detail(), Some("Not listed: https://u.example"));
    let error = urls(None, &[]).check("app:/secret?x=secret").unwrap_err();
    assert_eq!(error.detail(), Some("Not listed: app:"));
    for (url, shown) in [
        ("http://localhost:3000/secret", "http://localhost:3000"),
        ("https://u.example:443/secret", "https://u.example"),
        ("http://u.example:443/secret", "http://u.example:443"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("app://host:7/secret", "app://host:7"),
    ] {
        let error = urls(None, &[]).check(url).unwrap_err();
        assert_eq!(error.detail(), Some(&*format!("Not listed: {shown}")), "{url}");
    }
    let error = urls(None, &[]).check("https://secret:secret@u.example/").unwrap_err();
    assert_eq!(error.detail(), Some("It contains a user name or password."));
}

#[test]
fn the_site_url_is_checked_as_well() {
    for site in ["app.example.com", "https://u@app.example.com", "myapp://callback", "https://*.example.com", " "] {
        let error = RedirectUrls::new(Some(site), &[]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidArgument, "{site}");
        assert!(error.detail().unwrap().contains("workos_auth.site_url"));
    }
    assert_eq!(RedirectUrls::new(None, &["https://*".into()]).unwrap_err().code(), ErrorCode::RedirectPatternUnsafe);
}

#[test]
fn safe_patterns_are_taken() {
    for pattern in urls::LIST.iter().chain(&[
        "https://*.example.com/**",
        "https://*.example.com",
        "https://app-?.example.com/",
        "https://*.example.co.uk/**",
        "https://example.co.uk/**",
        "https://co.uk/**",
        "https://a-?.team.github.io/**",
        "https://*.team.github.io/**",
        "https://*-team.vercel.app/**",
        "https://**.preview-*.vercel.app/**",
        "https://*.internal.corp/**",
        "http://127.0.0.1:*/**",
        "http://[::1]:*/**",
        "https://example.com:8443",
        "myapp:**",
        "myapp://*",
        "myapp://**",
        "myapp://*/callback",
        "com.example.app://",
        "com.example.app://**",
        "com.example.app:/**",
        "com.example.app://login-callback/*",
        "exp://192.168.1.1:8081/**",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop/**",
        "googlechromes://app.example.com/**",
        "local:**",
    ]) {
        assert!(Pattern::parse_new(pattern).is_ok(), "{pattern}: {:?}", Pattern::parse_new(pattern));
    }
}

#[test]
fn unsafe_patterns_are_refused_by_rule() {
    for (pattern, rule) in [
        ("", "begins with a scheme"),
        ("**", "begins with a scheme"),
        ("*://example.com/", "scheme must be written out"),
        ("http?://example.com/", "scheme must be written out"),
        ("example.com/**", "begins with a scheme"),
        ("//example.com/**", "begins with a scheme"),
        ("javascript:**", "dangerous"),
        ("DATA:**", "dangerous"),
        ("file:///**", "dangerous"),
        ("https:**", "followed by ://"),
        ("https:/example.com/**", "followed by ://"),
        ("https:///**", "followed by ://"),
        ("https://*", "two literal labels"),
        ("https://**", "two literal labels"),
        ("https://*/**", "two literal labels"),
        ("https://*.com/**", "two literal labels"),
        ("https://**.com/", "two literal labels"),
        ("https://*example.com/", "two literal labels"),
        ("https://*.localhost/", "two literal labels"),
        ("https://*.co.uk/**", "public suffix"),
        ("https://**.CO.UK/**", "public suffix"),
        ("https://*-team.co.uk/**", "public suffix"),
        ("https://*.*.com.au", "public suffix"),
        ("https://*.xn--55qx5d.cn/", "public suffix"),
        ("https://*.github.io/**", "public suffix"),
        ("https://?**.vercel.app/", "public suffix"),
        ("https://?.co.uk:8443", "public suffix"),
        ("https://team.*.vercel.app/", "left-most"),
        ("https://team-*.*.vercel.app/", "public suffix"),
        ("https://example.com*", "left-most"),
        ("https://example.com**/x", "left-most"),
        ("https://example.com?/x", "left-most"),
        ("https://example.*/", "left-most"),
        ("https://app.*.example.com/", "left-most"),
        ("https://*.app.*.example.com/", "left-most"),
        ("https://*.com./", "empty label"),
        ("https://*..com/", "empty label"),
        ("https://example.com./", "empty label"),
        ("https://user@example.com/", "user name"),
        ("https://*@example.com/", "user name"),
        ("https://*:*@example.com/", "user name"),
        ("https://example.com:*/", "loopback only"),
        ("https://example.com:80?0/", "loopback only"),
        ("http://localhost:30*/", "loopback only"),
        ("https://*.example.com:*/", "loopback only"),
        ("https://example.com:/", "port is not a number"),
        ("https://example.com:99999/", "port is not a number"),
        ("https://example.com:443x/", "port is not a number"),
        ("http://127.0.0.*/", "IP address"),
        ("http://*.0.0.1/", "IP address"),
        ("http://*.*.0.1/", "IP address"),
        ("http://*.0.0x1/", "IP address"),
        ("http://[*]/", "IP address"),
        ("http://[::*]/", "IP address"),
        ("http://127.1/", "as browsers write"),
        ("http://[0:0:0:0:0:0:0:1]/", "as browsers write"),
        ("https://exa|mple.com/", "as browsers write"),
        ("https://bücher.example/", "ASCII"),
        ("https://*.example.com\u{3002}cc/", "ASCII"),
        ("https://ex%61mple.com/", "ASCII"),
        ("https://example.com\\@evil.example/", "backslash"),
        ("https://example.com/\n", "control"),
        ("https://example.com/ x", "control"),
        ("https://example.com/#x", "fragment"),
        ("https://example.com/{a,b}", "Brackets"),
        ("https://example.com/[a-z]", "Brackets"),
        ("https://[::1]evil.example/", "ended by"),
        ("http://[::1]*/", "ended by"),
        ("*", "begins with a scheme"),
        ("/**", "begins with a scheme"),
        ("https*://example.com/", "scheme must be written out"),
        ("JavaScript://**", "dangerous"),
        ("vbscript:**", "dangerous"),
        ("blob:**", "dangerous"),
        ("Intent://**", "dangerous"),
        ("about:blank", "dangerous"),
        ("view-source:https://example.com/**", "dangerous"),
        ("wss://example.com/**", "dangerous"),
        ("java\tscript:**", "control"),
        (" javascript:**", "control"),
        ("\u{feff}https://example.com/", "begins with a scheme"),
        ("https:\\\\example.com/**", "backslash"),
        ("https://?.com/", "two literal labels"),
        ("https://*.*/", "two literal labels"),
        ("https://*.*.com/", "two literal labels"),
        ("myapp://user@*", "user name"),
        ("myapp://*@callback", "user name"),
        ("javascript://**", "dangerous"),
        ("localhost:3000", "begins with a host and a port"),
        ("localhost:3000/**", "begins with a host and a port"),
        ("localhost:80**", "begins with a host and a port"),
        ("app.example.com:8443/**", "begins with a host and a port"),
        ("localhost:*", "begins with a host and a port"),
        ("LOCALHOST:*/**", "begins with a host and a port"),
        ("localhost:**", "begins with a host and a port"),
        ("localhost:?000/x", "begins with a host and a port"),
        ("localhost:", "begins with a host and a port"),
        ("exp://**", "Strangers"),
        ("exps://*/--/**", "Strangers"),
        ("EXP://192.168.1.?:8081", "Strangers"),
        ("exp://192.168.1.1:*/**", "Strangers"),
        ("chrome-extension://**", "Strangers"),
        ("chrome-extension://*/callback", "Strangers"),
        ("chrome-extension://?bcdefghijklmnopabcdefghijklmnop/", "Strangers"),
        ("x-safari-https://**", "Strangers"),
        ("x-safari-https:**", "Strangers"),
        ("microsoft-edge:https://**", "Strangers"),
        ("googlechromes://*.example.com/**", "Strangers"),
        ("*.gitpod.io", "begins with a scheme"),
        ("https://example.com:**/", "loopback only"),
        ("http://localhost:**/", "loopback only"),
        ("http://[::1]:*0/", "loopback only"),
        ("https://@example.com/", "user name"),
        ("myapp://user@callback", "user name"),
        ("https://example.com@*.evil.example/", "user name"),
        ("https://example\u{ff0e}com/", "ASCII"),
        ("https://*\u{ff0e}example.com/", "two literal labels"),
        ("https://example.com%2f*.evil.example/", "left-most"),
        ("http://2130706433/", "as browsers write"),
        ("http://0x7f.0.0.1/**", "as browsers write"),
        ("https://xn--a.example/", "as browsers write"),
        ("https://.example.com/", "empty label"),
    ] {
        let error = Pattern::parse_new(pattern).expect_err(pattern);
        assert_eq!(error.code(), ErrorCode::RedirectPatternUnsafe, "{pattern}");
        assert!(error.detail().unwrap().contains(rule), "{pattern:?}: {:?}", error.detail());
    }
    assert!(Pattern::parse_new(&format!("https://example.com/{}", "a".repeat(MAX_URL_BYTES))).is_err());
}

#[test]
fn a_pattern_in_use_stays_in_use_when_the_list_of_suffixes_grows() {
    assert_eq!(urls(None, &["https://*.github.io/**"]).check("https://us.github.io/x"), Ok(()));
}

#[test]
fn wildcards_are_bounded() {
    let pattern = |times: usize| format!("https://example.com/{}x", "*a".repeat(times));
    assert!(Pattern::parse(&pattern(65)).unwrap_err().detail().unwrap().contains("64 wildcard"));
    let rules = urls(None, &[&pattern(64)]);
    assert!(rules.check(&format!("https://example.com/{}", "a".repeat(8000))).is_err());
    assert!(rules.check(&format!("https://example.com/{}x", "a".repeat(8000))).is_ok());
}

/// Deep links, with the patterns that Supabase's guides show for them.
#[test]
fn an_apps_own_scheme_takes_any_path() {
    for (pattern, matching, others) in [
        (
            "com.example.app://**",
            &[
                "com.example.app://",
                "com.example.app://login-callback",
                "com.example.app://login/x?y=z",
                "com.example.app:///x",
                "COM.example.app://a:7/b",
            ][..],
            &[
                "com.example.app:/x",
                "com.example.app.evil://login",
                "com.example.ap://login",
                "https://com.example.app/",
                "com.example.app://u@login",
            ][..],
        ),
        ("com.example.app://", &["com.example.app://"], &["com.example.app://x", "com.example.app:"]),
        (
            "com.example.app://*",
            &["com.example.app://login-callback", "com.example.app://"],
            &["com.example.app://login/x", "com.example.app://a.b"],
        ),
        (
            "com.example.app://**/callback",
            &["com.example.app://a/b/callback"],
            &["com.example.app://callback", "com.example.app://a/callbacks"],
        ),
        (
            "com.example.app://Login-?/x",
            &["com.example.app://login-1/x"],
            &["com.example.app://login-1/X", "com.example.app://login-12/x"],
        ),
    ] {
        let rules = urls(None, &[pattern]);
        for url in matching {
            assert_eq!(rules.check(url), Ok(()), "{pattern} and {url}");
        }
        for url in others {
            assert!(rules.check(url).is_err(), "{pattern} and {url}");
        }
    }
}

#[test]
fn what_begins_with_a_host_and_a_port_has_no_scheme() {
    // A pattern from before stays in use, and takes in nothing.
    let rules = urls(None, &["localhost:3000/**"]);
    for url in ["localhost:3000/x", "localhost:3000", "app.example.com:8443/x?y#z", "localhost:3000#x"] {
        let error = rules.check(url).unwrap_err();
        assert_eq!(error.code(), ErrorCode::RedirectToMalformed, "{url}");
        assert!(error.detail().unwrap().contains("a host and a port"), "{url}");
    }
    // No number alone.
    assert_eq!(urls(None, &["app:1x/**"]).check("app:1x/y"), Ok(()));
}

/// What the properties check against, made once: a pattern is compiled when it is parsed.
static RULES: LazyLock<RedirectUrls> =
    LazyLock::new(|| urls(None, &["https://app.example.com/**", "https://*.example.org/**"]));

/// Pieces that hosts have been confused with.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "app.example.com",
            "evil.example",
            "x-team.vercel.app",
            "localhost",
            "127.0.0.1",
            "[::1]",
            "https:",
            "http:",
            "//",
            "/",
            "\\",
            "@",
            ":",
            "?",
            "#",
            ".",
            "..",
            "*",
            "%2e",
            "%2f",
            "%40",
            "%00",
            "\t",
            "\n",
            " ",
            "\0",
            ":443",
            ":80",
            "\u{3002}",
            "\u{ff0e}",
            "\u{ff0f}",
            "\u{ad}",
            "0x7f",
            "xn--",
            "cb",
            "a",
            ";",
            "|",
            "[",
            "]",
        ])
        .prop_map(str::to_owned),
        ".{0,3}",
    ];
    prop::collection::vec(piece, 0..7).prop_map(|pieces| pieces.concat())
}

/// Near misses of the addresses that are allowed, and the addresses.
fn near() -> impl Strategy<Value = String> {
    let front = prop::sample::select(vec!["https://", "HTTPS://", "http://", "https:/", "https:", "//", "https:\\\\"]);
    let host = prop::sample::select(vec!["app.example.com", "APP.example.com", "pr.example.org", "example.org", "a"]);
    (front, hostile(), host, hostile(), prop::bool::ANY, prop::bool::ANY).prop_map(
        |(front, before, host, after, b, a)| {
            format!("{front}{}{host}{}", if b { before } else { String::new() }, if a { after } else { "/cb".into() })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_is_allowed_goes_to_a_listed_host(url in prop_oneof![hostile(), near(), any::<String>()]) {
        if RULES.check(&url).is_ok() {
            let parsed = Url::parse(&url).unwrap();
            let host = parsed.host_str().unwrap();
            prop_assert!(host == "app.example.com" || host.ends_with(".example.org"), "{} goes to {}", url, host);
            prop_assert_eq!(parsed.scheme(), "https");
            prop_assert_eq!(parsed.port_or_known_default(), Some(443));
            prop_assert_eq!((parsed.username(), parsed.password()), ("", None));
        }
    }

    #[test]
    fn a_literal_host_matches_no_other(pattern in prop_oneof![hostile(), near(), "https?://[a-z.*?:@]{1,12}/?[a-z*?./]{0,4}"],
                                      url in prop_oneof![hostile(), near()]) {
        let Ok(safe) = Pattern::parse(&pattern) else { return Ok(()) };
        // The pattern's own text is the likeliest match; wildcards stand for themselves in a path.
        for url in [pattern.clone(), format!("{pattern}/"), url] {
            let Ok(target) = Target::parse(&url) else { continue };
            if let (true, Some(host)) = (safe.matches(&target), safe.literal_host()) {
                let parsed = Url::parse(&url).unwrap();
                prop_assert!(parsed.host_str().unwrap_or_default().eq_ignore_ascii_case(host), "{} takes {}", pattern, url);
            }
        }
    }

    #[test]
    fn a_wildcard_never_reaches_past_two_labels(pattern in "https://[a-z*?.]{1,14}/\\*\\*", url in "https://[a-z]{0,2}[.]?[a-z]{1,2}[.][a-z]{1,3}/") {
        let (Ok(safe), Ok(target)) = (Pattern::parse(&pattern), Target::parse(&url)) else { return Ok(()) };
        if safe.matches(&target) {
            let host = pattern.trim_start_matches("https://").trim_end_matches("/**");
            let owner: Vec<&str> = host.rsplit('.').take(2).collect();
            let reached: Vec<&str> = target.host.rsplit('.').take(2).collect();
            prop_assert!(owner == reached, "{} takes {}", pattern, url);
        }
    }

    #[test]
    fn near_misses_are_not_all_misses(tail in "[a-z/?=.]{0,12}") {
        let url = format!("https://app.example.com/{tail}");
        prop_assert_eq!(RULES.check(&url).is_ok(), !has_dot_segment(&url[23..]));
    }
}
