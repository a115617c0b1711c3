#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::LazyLock;

use proptest::prelude::*;
use url::Url;

use super::*;

fn urls(site_url: Option<&str>, patterns: &[&str]) -> RedirectUrls {
    let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
    RedirectUrls::new(site_url, &patterns).unwrap()
}

/// One list that the rows of the tables are checked against.
const LIST: &[&str] = &[
    "https://one.example.net/cb",
    "https://two.example.net/app/**",
    "https://three.example.net:8443/*",
    "https://*.preview.example.org/**",
    "https://*-team.vercel.app/**",
    "https://*.*.deep.example.org/",
    "https://**.any.example.org/",
    "https://page.example.net/?.html",
    "https://query.example.net/cb?next=*",
    "https://MiXed.example.net/Case",
    "http://localhost:*/**",
    "http://[::1]:3000/cb",
    "http://192.0.2.7/cb",
    "https://xn--bcher-kva.example/**",
    "myapp://callback",
    "com.example.app:/oauth/**",
    "empty:///cb",
];

const ALLOWED: &[(&str, &str)] = &[
    ("https://app.example.com", "the site itself"),
    ("https://app.example.com/", "the site's root"),
    ("https://app.example.com/a/b.html?x=1&y=%40#top", "any page of the site"),
    ("https://app.example.com?x=1", "the site's root with a query"),
    ("https://app.example.com:443/a", "the default port written out"),
    ("HTTPS://APP.example.COM/a", "scheme and host have no case"),
    ("https://app.example.com/@evil.example", "an @ in the path is no user name"),
    ("https://app.example.com/?u=https://evil.example/..", "a URL in the query is text"),
    ("https://app.example.com/ü", "a path may be international"),
    ("https://app.example.com/a...b/.hidden", "dots, but no dot segment"),
    ("https://one.example.net/cb", "listed literally"),
    ("https://one.example.net/cb#frag", "the fragment is not compared"),
    ("https://one.example.net:443/cb", "the default port written out, listed without"),
    ("https://two.example.net/app/", "** is any run, the empty one too"),
    ("https://two.example.net/app/a/b.c?d=/e.f", "** crosses separators and the query"),
    ("https://three.example.net:8443/", "* may be empty"),
    ("https://three.example.net:8443/abc", "the listed port"),
    ("https://pr-7.preview.example.org/x", "one label in front"),
    ("https://PR-7.preview.Example.org/x", "wildcard hosts have no case either"),
    ("https://fix-team.vercel.app/x", "a label with a wildcard in it"),
    ("https://a.b.deep.example.org/", "two labels in front"),
    ("https://a.b.deep.example.org", "no path is /"),
    ("https://a.b.c.any.example.org/", "** crosses labels"),
    ("https://page.example.net/a.html", "? is one character"),
    ("https://query.example.net/cb?next=home", "the question mark is one character too"),
    ("https://mixed.EXAMPLE.net/Case", "host without case, path with"),
    ("http://localhost:5173/cb", "listed loopback, any port"),
    ("http://localhost/cb", "listed loopback, no port"),
    ("http://[::1]:3000/cb", "listed IPv6 loopback"),
    ("http://192.0.2.7/cb", "an address listed literally"),
    ("https://xn--bcher-kva.example/x", "international host in ASCII form"),
    ("myapp://callback", "custom scheme"),
    ("MYAPP://CallBack#x", "custom scheme and host have no case"),
    ("com.example.app:/oauth/google", "custom scheme without a host"),
    ("empty:///cb", "custom scheme with an empty host"),
];

const NOT_ALLOWED: &[(&str, &str)] = &[
    ("http://app.example.com/", "another scheme"),
    ("https://app.example.com:8443/", "another port"),
    ("https://app.example.com:80/", "http's port on https"),
    ("https://example.com/", "the parent domain"),
    ("https://sub.app.example.com/", "a child domain"),
    ("https://app.example.com.evil.example/", "the site as a prefix"),
    ("https://app.example.com./", "a trailing dot is another name"),
    ("https://evilapp.example.com/", "the site as a suffix"),
    ("https://one.example.net/cb/", "one character more"),
    ("https://one.example.net/CB", "paths have case"),
    ("https://one.example.net/cb?x=1", "a query that is not listed"),
    ("https://two.example.net/application/x", "the listed directory as a prefix"),
    ("https://three.example.net:8443/a/b", "* does not cross /"),
    ("https://three.example.net:8443/a.b", "* does not cross ."),
    ("https://three.example.net/abc", "listed with another port"),
    ("https://a.b.preview.example.org/x", "* is one label"),
    ("https://preview.example.org/x", "no label in front"),
    ("https://evilpreview.example.org/x", "the dot is literal"),
    ("https://x.preview.example.org.evil.example/x", "the host is compared to its end"),
    ("https://evil.vercel.app/x", "the label's literal part is missing"),
    ("https://a.evil-team.vercel.app/x", "* does not cross labels"),
    ("https://a.deep.example.org/", "one label where two are listed"),
    ("https://page.example.net/ab.html", "? is not two characters"),
    ("https://page.example.net//.html", "? is no separator"),
    ("https://pageXexample.net/a.html", "a dot is a dot"),
    ("https://mixed.example.net/case", "case of the path"),
    ("https://localhost/cb", "listed with another scheme"),
    ("http://127.0.0.1/cb", "loopback that is not listed"),
    ("http://[::1]:3001/cb", "loopback on another port"),
    ("http://192.0.2.8/cb", "an address that is not listed"),
    ("http://169.254.169.254/latest/meta-data", "an address that is not listed"),
    ("http://localhost.evil.example/cb", "localhost as a prefix"),
    ("https://xn--mller-kva.example/x", "another international host"),
    ("myapp://callback/x", "a path that is not listed"),
    ("myapp://evil", "another host of a custom scheme"),
    ("myapp:callback", "without a host where one is listed"),
    ("com.example.app://oauth/x", "with a host where none is listed"),
    ("com.example.app:/other", "another path"),
    ("otherapp://callback", "a scheme that is not listed"),
    ("mailto:someone@example.com", "a scheme that is not listed"),
];

const MALFORMED: &[(&str, &str)] = &[
    ("", "empty"),
    ("/after", "relative"),
    ("//evil.example/", "without a scheme"),
    ("app.example.com/x", "without a scheme"),
    ("://app.example.com", "an empty scheme"),
    ("1http://app.example.com", "a scheme begins with a letter"),
    ("https:app.example.com", "browsers would go there, readers would not"),
    ("https:/app.example.com", "one slash"),
    ("https:///app.example.com", "an empty host that browsers skip"),
    ("https://", "no host"),
    ("https://?x", "no host"),
    ("https://:443/", "no host"),
    ("https://app.example.com@evil.example/", "the site as a user name"),
    ("https://user:pw@app.example.com/", "a password"),
    ("https://@app.example.com/", "an empty user name"),
    ("https://evil.example\\@app.example.com/", "a backslash before the @"),
    ("https://app.example.com\\.evil.example/", "a backslash ends the host"),
    ("https:\\\\app.example.com/", "backslashes for slashes"),
    ("https://app.example.com/a\\b", "a backslash in the path"),
    (" https://app.example.com/", "a leading blank"),
    ("https://app.example.com/ ", "a trailing blank"),
    ("\u{a0}https://app.example.com/", "a leading no-break space"),
    ("https://app.example.com/a\tb", "a tab"),
    ("https://app.exam\nple.com/", "a newline in the host"),
    ("https://app.example.com/\r\nSet-Cookie:x", "a header of its own"),
    ("https://app.example.com/\0", "NUL"),
    ("https://app.example.com/\u{7f}", "DEL"),
    ("java\tscript:alert(1)", "a tab in the scheme"),
    ("javascript:alert(1)", "a script"),
    ("JavaScript://app.example.com/%0aalert(1)", "a script behind a comment"),
    ("data:text/html,<script>", "a page of its own"),
    ("vbscript:x", "a script"),
    ("file:///etc/passwd", "a file"),
    ("blob:https://app.example.com/1", "a blob"),
    ("ftp://app.example.com/", "no page to return to"),
    ("https://app.example\u{ff0e}com/", "a full-width dot"),
    ("https://app.example\u{3002}com/", "an ideographic dot"),
    ("https://bücher.example/", "a host that is not ASCII"),
    ("https://\u{ff4c}ocalhost/", "a full-width letter"),
    ("https://app%2eexample.com/", "a percent-encoded dot"),
    ("https://app.example.com%2f.evil.example/", "a percent-encoded slash"),
    ("https://app.example.com%00.evil.example/", "a percent-encoded NUL"),
    ("http://127.1/", "a short address"),
    ("http://2130706433/", "an address as one number"),
    ("http://0x7f.0.0.1/", "an address in hexadecimal"),
    ("http://0177.0.0.1/", "an address in octal"),
    ("http://[0:0:0:0:0:0:0:1]/", "an IPv6 address that is not canonical"),
    ("http://[::1/", "an open bracket"),
    ("http://[::1]evil.example/", "a host behind the bracket"),
    ("http://[::ffff:127.0.0.1]/", "an IPv4 address in an IPv6 one, not canonical"),
    ("https://app.example.com:99999/", "no such port"),
    ("https://app.example.com:/", "an empty port"),
    ("https://app.example.com:44x/", "a port that is no number"),
    ("https://two.example.net/app/../admin", "a walk out of the listed path"),
    ("https://two.example.net/app/%2E%2e/admin", "an encoded walk"),
    ("https://two.example.net/app/.%2e", "a half-encoded walk"),
    ("https://exa mple.com/", "a blank in the host"),
    ("https://exa|mple.com/", "a character no host has"),
    ("https://*.preview.example.org/x", "a wildcard is not a host"),
    ("myapp://user@callback", "a user name in a custom scheme"),
    ("myapp://call%62ack", "a percent-encoded host in a custom scheme"),
];

#[test]
fn the_table_of_urls() {
    let rules = urls(Some("https://app.example.com/home"), LIST);
    for &(url, why) in ALLOWED {
        assert_eq!(rules.check(url), Ok(()), "{url:?} ({why}) should be allowed");
    }
    let code = |url: &str| rules.check(url).map_err(|error| error.code());
    for &(url, why) in NOT_ALLOWED {
        assert_eq!(code(url), Err(ErrorCode::RedirectToNotAllowed), "{url:?}: {why}");
    }
    for &(url, why) in MALFORMED {
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

#[test]
fn a_loopback_site_opens_loopback_on_its_scheme_only() {
    let rules = urls(Some("http://localhost:3000"), &[]);
    for url in ["http://localhost:3000/", "http://localhost/x", "http://127.0.0.1:5173/x", "http://[::1]:8080/x"] {
        assert_eq!(rules.check(url), Ok(()), "{url}");
    }
    for url in ["https://localhost:3000/", "http://10.0.0.1:3000/", "http://localhost.example.com/", "http://[::2]/"] {
        assert!(rules.check(url).is_err(), "{url}");
    }
    // And a site elsewhere opens none.
    assert!(urls(Some("http://192.168.0.1:3000"), &[]).check("http://192.168.0.1:3001/").is_err());
}

#[test]
fn the_detail_shows_scheme_and_host_only() {
    let error = urls(None, &[]).check("https://u.example/path-secret?code=secret#secret").unwrap_err();
    assert_eq!(error.detail(), Some("Not listed: https://u.example"));
    let error = urls(None, &[]).check("app:/secret?x=secret").unwrap_err();
    assert_eq!(error.detail(), Some("Not listed: app:"));
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
    for pattern in LIST.iter().chain(&[
        "https://*.example.com/**",
        "https://*.example.com",
        "https://app-?.example.com/",
        "https://*.example.co.uk/**",
        "http://127.0.0.1:*/**",
        "http://[::1]:*/**",
        "https://example.com:8443",
        "myapp:**",
    ]) {
        assert!(Pattern::parse(pattern).is_ok(), "{pattern}: {:?}", Pattern::parse(pattern));
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
    ] {
        let error = Pattern::parse(pattern).expect_err(pattern);
        assert_eq!(error.code(), ErrorCode::RedirectPatternUnsafe, "{pattern}");
        assert!(error.detail().unwrap().contains(rule), "{pattern:?}: {:?}", error.detail());
    }
    assert!(Pattern::parse(&format!("https://example.com/{}", "a".repeat(MAX_URL_BYTES))).is_err());
}

#[test]
fn wildcards_are_bounded() {
    let pattern = |times: usize| format!("https://example.com/{}x", "*a".repeat(times));
    assert!(Pattern::parse(&pattern(65)).unwrap_err().detail().unwrap().contains("64 wildcard"));
    let rules = urls(None, &[&pattern(64)]);
    assert!(rules.check(&format!("https://example.com/{}", "a".repeat(8000))).is_err());
    assert!(rules.check(&format!("https://example.com/{}x", "a".repeat(8000))).is_ok());
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
