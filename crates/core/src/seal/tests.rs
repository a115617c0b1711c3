#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use aws_lc_rs::aead;
use proptest::prelude::*;

use super::*;

const INSTALLATION: Uuid = Uuid::from_u128(0x1f3c_0000_0000_4000_8000_0000_0000_0001);
const PLACE: Place<'static> = Place {
    table: "providers",
    column: "client_secret",
    row: b"workos",
    bound: &["client_1", "https://api.workos.com"],
};

fn root(byte: u8) -> RootKey {
    let mut bytes = [byte; 32];
    bytes[0] = !byte;
    RootKey::from_bytes(&bytes).unwrap()
}

fn key() -> DataKey {
    DataKey::generate(Purpose::ClientSecret, 7).unwrap()
}

fn code<T>(result: Result<T>) -> ErrorCode {
    match result {
        Ok(_) => panic!("this ought to fail"),
        Err(error) => error.code(),
    }
}

/// Length prefixes written out by hand, so that a change of the encoding is noticed.
fn by_hand(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in parts {
        out.extend([0, 0, 0, 0, 0, 0, 0, u8::try_from(part.len()).unwrap()]);
        out.extend(*part);
    }
    out
}

#[test]
fn a_root_key_is_32_bytes_that_differ() {
    for bytes in [vec![], vec![1; 32], vec![0; 32], (0..31).collect(), (0..33).collect::<Vec<u8>>()] {
        assert_eq!(code(RootKey::from_bytes(&bytes)), ErrorCode::RootKeyMalformed, "{} bytes", bytes.len());
    }
    assert!(RootKey::from_bytes(&(0..32).collect::<Vec<u8>>()).is_ok());
    let (one, two) = (RootKey::generate().unwrap(), RootKey::generate().unwrap());
    assert!(RootKey::from_bytes(one.expose()).is_ok());
    assert_ne!(one.expose(), two.expose());
}

#[test]
fn a_program_prints_a_root_key_in_one_of_three_forms() {
    let key: Vec<u8> = (0..32).map(|i| i * 7 + 3).collect();
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let standard = base64::engine::general_purpose::STANDARD.encode(&key);
    let url = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&key);
    let data = DataKey::generate(Purpose::ClientSecret, 7).unwrap();
    let wrapped = data.wrap(&RootKey::from_bytes(&key).unwrap(), INSTALLATION).unwrap();
    for text in
        [hex.clone(), hex.to_uppercase(), standard.clone(), standard.replace('=', ""), url.clone(), format!("{url}=")]
    {
        for output in [text.clone(), format!("{text}\n"), format!(" {text}\r\n")] {
            let root = RootKey::from_output(output.as_bytes()).unwrap_or_else(|error| panic!("{output:?}: {error}"));
            let opened = DataKey::unwrap(&wrapped, Purpose::ClientSecret, 7, &root, INSTALLATION);
            assert!(opened.is_ok(), "{output:?} is another key");
        }
    }
    assert!(RootKey::from_output(&key).is_ok());
    let garbage: Vec<Vec<u8>> = vec![
        vec![],
        b"\n".to_vec(),
        key[..31].to_vec(),
        [&key[..], b"\n"].concat(),
        vec![9; 32],
        b"permission denied: no such secret".to_vec(),
        b"a password of thirty-two letters".to_vec(),
        hex[1..].into(),
        hex.replace('3', "g").into(),
        format!("{hex}\n{hex}").into(),
        format!("key: {standard}").into(),
        "0".repeat(64).into(),
        "A".repeat(43).into(),
        standard[1..].into(),
    ];
    for output in garbage {
        let error = RootKey::from_output(&output).err().unwrap_or_else(|| panic!("{output:?} is taken for a key"));
        assert_eq!(error.code(), ErrorCode::RootKeyCommandMalformed, "{output:?}");
        assert!(output.len() < 8 || !error.detail().unwrap().contains(&*String::from_utf8_lossy(&output)), "{error:?}");
    }
}

#[test]
fn keys_print_redacted() {
    assert_eq!(format!("{:?}", root(1)), "RootKey([redacted])");
    assert_eq!(format!("{:?}", key()), "DataKey(client_secret, 7, [redacted])");
}

#[test]
fn purposes_have_names() {
    for purpose in Purpose::ALL {
        assert_eq!(Purpose::parse(purpose.as_str()).unwrap(), *purpose);
    }
    assert_eq!(code(Purpose::parse("Client_Secret")), ErrorCode::Unexpected);
    assert_eq!(code(Purpose::parse("")), ErrorCode::Unexpected);
}

#[test]
fn a_wrapped_key_opens_only_as_what_it_is() {
    let key = key();
    let wrapped = key.wrap(&root(1), INSTALLATION).unwrap();
    let sealed = key.seal(&PLACE, b"sk_1").unwrap();
    let open = |wrapped: &[u8], purpose, id, root: &RootKey, installation| {
        DataKey::unwrap(wrapped, purpose, id, root, installation)
    };
    let again = open(&wrapped, Purpose::ClientSecret, 7, &root(1), INSTALLATION).unwrap();
    assert_eq!(again.open(&PLACE, &sealed).unwrap().expose(), b"sk_1");
    assert_eq!((again.id(), again.purpose()), (7, Purpose::ClientSecret));
    for result in [
        open(&wrapped, Purpose::SigningKey, 7, &root(1), INSTALLATION),
        open(&wrapped, Purpose::ClientSecret, 8, &root(1), INSTALLATION),
        open(&wrapped, Purpose::ClientSecret, 7, &root(2), INSTALLATION),
        open(&wrapped, Purpose::ClientSecret, 7, &root(1), Uuid::nil()),
        open(&[], Purpose::ClientSecret, 7, &root(1), INSTALLATION),
        open(&wrapped[..60], Purpose::ClientSecret, 7, &root(1), INSTALLATION),
    ] {
        assert_eq!(code(result), ErrorCode::RootKeyMismatch);
    }
    for at in 0..wrapped.len() {
        let mut bent = wrapped.clone();
        bent[at] ^= 1;
        let result = open(&bent, Purpose::ClientSecret, 7, &root(1), INSTALLATION);
        assert_eq!(code(result), ErrorCode::RootKeyMismatch, "byte {at}");
    }
}

#[test]
fn wrapping_follows_the_documented_derivation() {
    // The same with aws-lc-rs alone: what stands in data_keys must stay readable by later versions.
    let key = key();
    let wrapped = key.wrap(&root(1), INSTALLATION).unwrap();
    assert_eq!((wrapped.len(), wrapped[0]), (61, 1));
    let id = 7u32.to_be_bytes();
    let info = by_hand(&[b"workos_auth data key v1", b"client_secret", &id]);
    let aad = by_hand(&[b"workos_auth data key v1", b"client_secret", &id, INSTALLATION.as_bytes()]);
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, INSTALLATION.as_bytes()).extract(&*root(1).0);
    let unbound = aead::UnboundKey::from(prk.expand(&[&info], &AES_256_GCM_SIV).unwrap());
    let mut body = wrapped[13..].to_vec();
    let nonce = Nonce::try_assume_unique_for_key(&wrapped[1..13]).unwrap();
    let plain = aead::LessSafeKey::new(unbound).open_in_place(nonce, Aad::from(aad), &mut body).unwrap();
    assert_eq!(plain, &*key.key);
}

#[test]
fn the_place_is_authenticated() {
    let key = key();
    let sealed = key.seal(&PLACE, b"sk_1").unwrap();
    assert_eq!(key.open(&PLACE, &sealed).unwrap().expose(), b"sk_1");
    for place in [
        Place { table: "provider", ..PLACE },
        Place { column: "client_secre", row: b"tworkos", ..PLACE },
        Place { table: "providersc", column: "lient_secret", ..PLACE },
        Place { row: b"", ..PLACE },
        Place { bound: &["client_1"], ..PLACE },
        Place { bound: &["client_1", "https://evil.example"], ..PLACE },
        Place { bound: &["client_1https://api.workos.com"], ..PLACE },
        Place { bound: &["client_1", "https://api.workos.com", ""], ..PLACE },
        Place { bound: &["https://api.workos.com", "client_1"], ..PLACE },
    ] {
        assert_eq!(code(key.open(&place, &sealed)), ErrorCode::SealBroken, "{place:?}");
    }
    for other in [
        DataKey::generate(Purpose::ClientSecret, 7).unwrap(),
        DataKey::from_key(Purpose::ClientSecret, 8, key.key.clone()).unwrap(),
        DataKey::from_key(Purpose::SigningKey, 7, key.key.clone()).unwrap(),
    ] {
        assert_eq!(code(other.open(&PLACE, &sealed)), ErrorCode::SealBroken);
    }
}

#[test]
fn an_error_names_the_place_and_nothing_secret() {
    let error = key().open(&PLACE, b"\x01sk_1").unwrap_err();
    assert_eq!(error.detail(), Some("client_secret of providers does not open with key 7."));
}

#[test]
fn one_value_seals_to_different_bytes() {
    let key = key();
    assert_ne!(key.seal(&PLACE, b"same").unwrap(), key.seal(&PLACE, b"same").unwrap());
}

#[test]
fn macs_differ_with_parts_keys_and_purposes() {
    let key = DataKey::generate(Purpose::RefreshToken, 1).unwrap();
    let mac = key.mac(&[b"ab", b"c"]);
    assert_eq!(mac, key.mac(&[b"ab", b"c"]));
    assert_ne!(mac, key.mac(&[b"a", b"bc"]));
    assert_ne!(mac, key.mac(&[b"ab", b"c", b""]));
    assert_ne!(mac, DataKey::generate(Purpose::RefreshToken, 1).unwrap().mac(&[b"ab", b"c"]));
    assert_ne!(mac, DataKey::from_key(Purpose::FlowVerifier, 1, key.key.clone()).unwrap().mac(&[b"ab", b"c"]));
    // Neither the data key itself nor the sealing key makes MACs.
    for raw in [&key.key, &key.sealing] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &**raw), &framed(&[b"ab", b"c"]));
        assert_ne!(tag.as_ref(), mac);
    }
}

proptest! {
    #[test]
    fn what_is_sealed_opens(plain: Vec<u8>, row: Vec<u8>) {
        let place = Place { row: &row, ..PLACE };
        let key = key();
        let sealed = key.seal(&place, &plain).unwrap();
        prop_assert_eq!(sealed.len(), plain.len() + 29);
        let opened = key.open(&place, &sealed).unwrap();
        prop_assert_eq!(opened.expose(), plain.as_slice());
    }

    #[test]
    fn no_bent_value_opens(plain: Vec<u8>, at: prop::sample::Index, bit in 0..8u8) {
        let key = key();
        let mut sealed = key.seal(&PLACE, &plain).unwrap();
        let at = at.index(sealed.len());
        prop_assert_eq!(code(key.open(&PLACE, &sealed[..at])), ErrorCode::SealBroken);
        sealed[at] ^= 1 << bit;
        prop_assert_eq!(code(key.open(&PLACE, &sealed)), ErrorCode::SealBroken);
    }

    #[test]
    fn noise_never_opens(noise: Vec<u8>) {
        prop_assert_eq!(code(key().open(&PLACE, &noise)), ErrorCode::SealBroken);
        let opened = DataKey::unwrap(&noise, Purpose::SigningKey, 1, &root(1), INSTALLATION);
        prop_assert_eq!(code(opened), ErrorCode::RootKeyMismatch);
    }
}
