//! Tokens that other people's libraries made: `witnesses/` has the programs.

use super::*;

#[test]
fn tokens_of_jose_and_pyjwt_are_good() {
    for (what, text) in [("jose", include_str!("witnesses/jose.json")), ("PyJWT", include_str!("witnesses/pyjwt.json"))]
    {
        let witness: Value = serde_json::from_str(text).unwrap();
        let keys = read_jwks(&witness["jwks"].to_string()).unwrap();
        assert_eq!(keys.len(), 4, "{what}");
        let issuer = Issuer { name: "https://issuer.example.com/".into(), ..issuer(Kind::Authkit) };
        for key in &keys {
            let name = key.algorithm().as_str();
            let token = witness["tokens"][name].as_str().unwrap();
            let claims = parse(token).unwrap().verify(&issuer, key, NOW, 0).unwrap();
            assert_eq!(
                (claims.organization.as_deref(), claims.name.as_deref()),
                (Some("org_acme"), Some("Zoë")),
                "{what} {name}"
            );
            for other in keys.iter().filter(|other| other.kid() != key.kid()) {
                assert_eq!(
                    code(parse(token).unwrap().verify(&issuer, other, NOW, 0)),
                    ErrorCode::BadJwtKey,
                    "{what} {name}"
                );
            }
        }
    }
}
