#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

const BODY: &str = r#"{"id":"event_1","event":"user.deleted"}"#;
const NOW: u64 = 1_796_000_000_000;

fn secret() -> WebhookSecret {
    WebhookSecret::new("whsec_demo".into())
}

fn signature(time: &str, body: &str, secret: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    HEXLOWER_PERMISSIVE.encode(hmac::sign(&key, format!("{time}.{body}").as_bytes()).as_ref())
}

fn header(time: u64, body: &str) -> String {
    format!("t={time}, v1={}", signature(&time.to_string(), body, "whsec_demo"))
}

fn name(result: Result<()>) -> &'static str {
    result.err().map_or("good", |error| error.code().name())
}

#[test]
fn what_workos_has_signed_is_good_for_three_minutes_both_ways() {
    for (off, expected) in [
        (0_i64, "good"),
        (-180_000, "good"),
        (180_000, "good"),
        (-180_001, "webhook_signature_old"),
        (180_001, "webhook_signature_old"),
        (-3_600_000, "webhook_signature_old"),
        (3_600_000, "webhook_signature_old"),
    ] {
        let time = NOW.checked_add_signed(off).unwrap();
        assert_eq!(name(verify(BODY, &header(time, BODY), &secret(), NOW)), expected, "{off}");
    }
}

#[test]
fn what_anybody_else_has_signed_is_not() {
    let good = header(NOW, BODY);
    let tag = signature(&NOW.to_string(), BODY, "whsec_demo");
    for bad in [
        String::new(),
        "t".into(),
        format!("v1={tag}"),
        format!("t={NOW}"),
        format!("t={NOW}, v1="),
        format!("t={NOW}, v1={}", &tag[..62]),
        format!("t={NOW}, v1={tag}00"),
        format!("t={NOW}, v1=zz"),
        format!("t={NOW}, v0={tag}"),
        format!("t={}, v1={tag}", NOW + 1),
        format!("t=-{NOW}, v1={tag}"),
        format!("t={NOW}, t={NOW}, v1={tag}"),
        format!("t={NOW}, v1={}", signature(&NOW.to_string(), BODY, "whsec_other")),
        format!("t={NOW}, v1={}", signature(&NOW.to_string(), &format!("{BODY} "), "whsec_demo")),
        // In another place than the fifth it is not looked at.
        format!("t={NOW}, {}v1={tag}", "v1=00, ".repeat(MOST_SIGNATURES)),
        format!("{good}, {}", "x=1,".repeat(400)),
    ] {
        assert_eq!(name(verify(BODY, &bad, &secret(), NOW)), "webhook_signature_invalid", "{bad}");
    }
    assert_eq!(name(verify(&BODY.replace('1', "2"), &good, &secret(), NOW)), "webhook_signature_invalid");
}

#[test]
fn who_has_not_the_secret_learns_nothing_of_the_time() {
    let old = format!("t=1, v1={}", signature("1", BODY, "whsec_other"));
    assert_eq!(name(verify(BODY, &old, &secret(), NOW)), "webhook_signature_invalid");
}

#[test]
fn spaces_capitals_and_a_second_signature_do_no_harm() {
    let tag = signature(&NOW.to_string(), BODY, "whsec_demo");
    let old = signature(&NOW.to_string(), BODY, "whsec_before");
    for good in [
        format!("t={NOW},v1={tag}"),
        format!("t={NOW} , v1={}", tag.to_uppercase()),
        format!("v1={tag}, t={NOW}"),
        format!("t={NOW}, v1={old}, v1={tag}, v2=x"),
    ] {
        assert_eq!(name(verify(BODY, &good, &secret(), NOW)), "good", "{good}");
    }
}

#[test]
fn a_secret_is_a_word() {
    assert!(check_secret("whsec_demo").is_ok());
    for bad in ["", " ", "a b", "ä", &"x".repeat(1025)] {
        let error = check_secret(bad).unwrap_err();
        assert!(bad.trim().is_empty() || !error.detail().unwrap().contains(bad), "{error:?}");
    }
}
