//! A private key, whichever algorithm it signs with.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256};

use super::algorithm::Algorithm;
use super::public::Numbers;
use crate::error::{Error, ErrorCode, Result};
use crate::secret::SecretBytes;

pub(super) enum Pair {
    /// P-256
    Ec(EcdsaKeyPair),
    /// 2,048 bits, public exponent 65537
    Rsa(rsa::KeyPair),
}

impl Pair {
    pub(super) fn generate(algorithm: Algorithm) -> Result<Self> {
        let pair = match algorithm {
            Algorithm::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Self::Ec),
            Algorithm::Rs256 => rsa::KeyPair::generate(rsa::KeySize::Rsa2048).map(Self::Rsa),
        };
        pair.map_err(|_| unexpected("No signing key could be generated."))
    }

    /// The document says itself which algorithm its key is for.
    pub(super) fn from_pkcs8(document: &[u8]) -> Result<Self> {
        let ec = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document).map(Self::Ec);
        ec.or_else(|_| rsa::KeyPair::from_pkcs8(document).map(Self::Rsa))
            .map_err(|_| unexpected("The signing key is neither a P-256 key nor an RSA key in PKCS#8."))
    }

    pub(super) fn to_pkcs8(&self) -> Result<SecretBytes> {
        let document = match self {
            Self::Ec(pair) => pair.to_pkcs8v1().map(|document| SecretBytes::new(document.as_ref().to_vec())),
            Self::Rsa(pair) => {
                AsDer::<Pkcs8V1Der<'static>>::as_der(pair).map(|document| SecretBytes::new(document.as_ref().to_vec()))
            }
        };
        document.map_err(|_| unexpected("The signing key cannot be written as PKCS#8."))
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ec(_) => Algorithm::Es256,
            Self::Rsa(_) => Algorithm::Rs256,
        }
    }

    pub(super) fn numbers(&self) -> Numbers {
        match self {
            Self::Ec(pair) => Numbers::of_point(pair.public_key().as_ref()),
            Self::Rsa(pair) => {
                let key = pair.public_key();
                Numbers::of_modulus(
                    key.modulus().big_endian_without_leading_zero(),
                    key.exponent().big_endian_without_leading_zero(),
                )
            }
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let random = SystemRandom::new();
        let signature = match self {
            Self::Ec(pair) => pair.sign(&random, message).map(|signature| signature.as_ref().to_vec()),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map(|()| signature)
            }
        };
        signature.map_err(|_| unexpected("The access token could not be signed."))
    }
}

fn unexpected(detail: &str) -> Error {
    Error::with_detail(ErrorCode::Unexpected, detail)
}
