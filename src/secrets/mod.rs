//! Keys: the root key in a file or behind a program, the data keys it wraps, and what they seal.
//!
//! Secrets are opened when a call needs them. Opened data keys and the signing key stay in the backend's memory, found again by
//! their sealed form, so that a changed row is never answered with an old key. The root key does not: with it every data key is opened at once.

pub mod authkit;
pub mod reseal;
mod root_key;
mod root_key_command;
pub mod secret_file;
pub mod state;

use std::cell::RefCell;
use std::rc::Rc;

use uuid::Uuid;
use workos_auth_core::authorize::Selector;
use workos_auth_core::pkce::{CodeChallenge, CodeVerifier};
use workos_auth_core::seal::{DataKey, Place, Purpose, RootKey};
use workos_auth_core::secret::{AuthorizationCode, ClientSecret, SecretBytes, WebhookSecret};
use workos_auth_core::token::{Algorithm, SigningKey};
use workos_auth_core::{Error, ErrorCode, Result, random, workos};

use crate::error::unexpected;
use crate::store::configuration::{self, DataKeyRow, Provider, SigningKeyRow};
use crate::store::flows::{CarriedExchange, Flow};
use crate::store::{installation as store, scan, workos_sync};

use root_key::Retry;
pub use root_key::{create as create_root_key, load_file as load_root_key_file};

/// What a backend has opened, by its sealed form. Small: a database has four data keys and one active signing key, and for a week after a
/// reseal four more.
struct Opened<T>(RefCell<Vec<(Vec<u8>, Rc<T>)>>);

impl<T> Opened<T> {
    const MOST: usize = 128;

    const fn new() -> Self {
        Self(RefCell::new(Vec::new()))
    }

    fn get(&self, sealed: &[u8]) -> Option<Rc<T>> {
        self.0.borrow().iter().find(|(known, _)| known == sealed).map(|(_, opened)| Rc::clone(opened))
    }

    fn put(&self, sealed: &[u8], opened: T) -> Rc<T> {
        let opened = Rc::new(opened);
        let mut all = self.0.borrow_mut();
        if all.len() >= Self::MOST {
            all.clear();
        }
        all.push((sealed.to_vec(), Rc::clone(&opened)));
        opened
    }
}

thread_local! {
    static DATA_KEYS: Opened<DataKey> = const { Opened::new() };
    static SIGNING_KEYS: Opened<SigningKey> = const { Opened::new() };
}

fn unwrap_key(row: &DataKeyRow, root: &RootKey, installation: Uuid) -> Result<DataKey> {
    DataKey::unwrap(&row.wrapped_key, row.purpose, row.id, root, installation)
}

fn open_data_key(row: &DataKeyRow) -> Result<Rc<DataKey>> {
    if let Some(key) = DATA_KEYS.with(|opened| opened.get(&row.wrapped_key)) {
        return Ok(key);
    }
    let installation = configuration::installation_id()?;
    let found = root_key::find(Retry::NotAtOnce, |root| unwrap_key(row, root, installation))?;
    // All of them, so that a backend asks for the root key once.
    for other in configuration::data_keys() {
        if let Ok(key) = unwrap_key(&other, &found.key, installation) {
            remember(&other.wrapped_key, key);
        }
    }
    Ok(remember(&row.wrapped_key, found.value))
}

/// Keeps a data key that was opened, or made, with its sealed form.
fn remember(wrapped_key: &[u8], key: DataKey) -> Rc<DataKey> {
    DATA_KEYS.with(|opened| opened.get(wrapped_key).unwrap_or_else(|| opened.put(wrapped_key, key)))
}

/// The data key that seals for this purpose today.
pub fn data_key(purpose: Purpose) -> Result<Rc<DataKey>> {
    let row = configuration::active_data_key(purpose).ok_or_else(|| Error::new(ErrorCode::ProviderNotConfigured))?;
    open_data_key(&row)
}

/// The data key of this number.
pub fn data_key_by_id(id: u32) -> Result<Rc<DataKey>> {
    let row = configuration::data_key(id)
        .ok_or_else(|| Error::with_detail(ErrorCode::SealBroken, format!("There is no data key {id}.")))?;
    open_data_key(&row)
}

/// The data key that a refresh token names, if there is one: anybody may write any number into a token.
pub fn refresh_token_key(id: u32) -> Result<Option<Rc<DataKey>>> {
    match configuration::data_key(id) {
        Some(row) if row.purpose == Purpose::RefreshToken => open_data_key(&row).map(Some),
        _ => Ok(None),
    }
}

/// The root key that the database's data keys are sealed with; where there are none yet, the first that is configured.
pub fn root_key() -> Result<RootKey> {
    let (Some(row), Some(installation)) = (configuration::any_data_key(), scan::installation_id()) else {
        return Ok(root_key::find(Retry::AtOnce, |_| Ok(()))?.key);
    };
    Ok(root_key::find(Retry::AtOnce, |root| unwrap_key(&row, root, installation))?.key)
}

/// Makes what is missing: the installation's row, a data key for each purpose, a signing key. With the root key at hand or not at all.
pub fn set_up() -> Result<()> {
    set_up_under(&root_key()?)
}

/// The same under this root key.
pub fn set_up_under(root: &RootKey) -> Result<()> {
    let installation = store::id_or_new()?;
    for &purpose in Purpose::ALL {
        match configuration::active_data_key(purpose) {
            // Opening says whether this is the root key that the database was set up with.
            Some(row) => drop(unwrap_key(&row, root, installation)?),
            None => new_data_key(purpose, root, installation)?,
        }
    }
    if configuration::active_signing_key().is_none() {
        sign_with_another(Some(Algorithm::Es256))?;
    }
    Ok(())
}

/// Makes a data key that seals for its purpose from now on. No other may.
fn new_data_key(purpose: Purpose, root: &RootKey, installation: Uuid) -> Result<()> {
    let key = DataKey::generate(purpose, new_key_id()?)?;
    let wrapped_key = key.wrap(root, installation)?;
    configuration::insert_data_key(&DataKeyRow { id: key.id(), purpose, wrapped_key: wrapped_key.clone() })?;
    remember(&wrapped_key, key);
    Ok(())
}

/// A signing key in `auth.signing_keys`.
pub struct KeptKey {
    /// its name in the table, in tokens and in the JWK set
    pub kid: String,
    /// what it signs with
    pub algorithm: Algorithm,
}

/// Makes a signing key that is published and signs nothing yet: with the algorithm, else with that of the key that signs today.
pub fn new_signing_key(algorithm: Option<Algorithm>) -> Result<KeptKey> {
    let algorithm = match algorithm {
        Some(algorithm) => algorithm,
        // As the row says: a key that cannot be opened is replaced too.
        None => active_signing_key()?.algorithm,
    };
    let key = SigningKey::generate(algorithm)?;
    let data_key = data_key(Purpose::SigningKey)?;
    let private_key = data_key.seal(&signing_key_place(key.kid()), key.to_pkcs8().expose())?;
    let row = SigningKeyRow {
        kid: key.kid().to_owned(),
        algorithm,
        is_active: false,
        private_key,
        data_key_id: data_key.id(),
    };
    configuration::insert_signing_key(&row, key.public_jwk())?;
    Ok(KeptKey { kid: row.kid, algorithm })
}

/// The key that is published and has not signed yet.
///
/// # Errors
/// It cannot be opened, or it is of another algorithm than the one that is asked for.
pub fn pending_signing_key(algorithm: Option<Algorithm>) -> Result<Option<KeptKey>> {
    let Some(row) = configuration::pending_signing_key() else { return Ok(None) };
    let pending = open_signing_key(&row)?.algorithm();
    match algorithm {
        Some(wanted) if wanted != pending => {
            let detail = format!("the pending key {} signs with {}.", row.kid, pending.as_str());
            let hint =
                format!("Run select auth.retire_signing_key('{}') first, or ask for {}.", row.kid, pending.as_str());
            Err(Error::invalid("algorithm", &detail).hint(hint))
        }
        _ => Ok(Some(KeptKey { kid: row.kid, algorithm: pending })),
    }
}

/// Signs with the pending key from now on, or with a fresh one. Tokens of the old one stay good until that is retired.
pub fn sign_with_another(algorithm: Option<Algorithm>) -> Result<KeptKey> {
    // What cannot be opened must not become the key that signs.
    let key = match pending_signing_key(algorithm)? {
        Some(pending) => pending,
        None => new_signing_key(algorithm)?,
    };
    configuration::replace_active_signing_key()?;
    configuration::activate_signing_key(&key.kid)?;
    Ok(key)
}

/// A random id that no data key has. Random, so that a refresh token of another installation seldom names one of ours.
fn new_key_id() -> Result<u32> {
    for _ in 0..16 {
        let id = u32::from_be_bytes(random::bytes()?);
        if id != 0 && configuration::data_key(id).is_none() {
            return Ok(id);
        }
    }
    Err(unexpected("No free id for a data key was found."))
}

fn signing_key_place(kid: &str) -> Place<'_> {
    Place { table: "signing_keys", column: "private_key", row: kid.as_bytes(), bound: &[] }
}

/// The key that signs access tokens today.
pub fn signing_key() -> Result<Rc<SigningKey>> {
    let row = active_signing_key()?;
    match SIGNING_KEYS.with(|opened| opened.get(&row.private_key)) {
        Some(key) => Ok(key),
        None => open_signing_key(&row),
    }
}

fn active_signing_key() -> Result<SigningKeyRow> {
    configuration::active_signing_key().ok_or_else(|| ErrorCode::SigningKeyMissing.into())
}

fn open_signing_key(row: &SigningKeyRow) -> Result<Rc<SigningKey>> {
    let key = SigningKey::from_pkcs8(open_private_key(row)?.expose())?;
    Ok(SIGNING_KEYS.with(|opened| opened.put(&row.private_key, key)))
}

fn open_private_key(row: &SigningKeyRow) -> Result<SecretBytes> {
    let opened =
        data_key_by_id(row.data_key_id).and_then(|key| key.open(&signing_key_place(&row.kid), &row.private_key));
    opened.map_err(|error| match row.is_active {
        true => broken(error, "run select auth.rotate_signing_key(). People stay signed in."),
        false => broken(error, &format!("run select auth.retire_signing_key('{}').", row.kid)),
    })
}

/// Where a seal is broken, the hint says what replaces the value.
fn broken(error: Error, remedy: &str) -> Error {
    match error.code() {
        ErrorCode::SealBroken => {
            error.hint(format!("The row was changed outside the extension. Restore it, or {remedy}"))
        }
        _ => error,
    }
}

/// Opens what every sign-in needs: the client secret, the signing key, and the keys that seal what a sign-in leaves behind.
///
/// # Errors
/// `signing_key_missing`, `seal_broken`, `provider_not_configured` where a data key is missing, and those of a root key that cannot be used.
pub fn require_opened(provider: &Provider) -> Result<()> {
    data_key(Purpose::FlowVerifier)?;
    open_client_secret(provider)?;
    data_key(Purpose::RefreshToken)?;
    signing_key()?;
    Ok(())
}

/// Seals the client secret to its row, client id and API URL: under another of these it cannot be opened.
pub fn seal_client_secret(id: Uuid, client_id: &str, api_url: &str, secret: &ClientSecret) -> Result<(Vec<u8>, u32)> {
    let key = data_key(Purpose::ClientSecret)?;
    let place = Place { table: "providers", column: "client_secret", row: id.as_bytes(), bound: &[client_id, api_url] };
    Ok((key.seal(&place, secret.expose().as_bytes())?, key.id()))
}

/// Opens the client secret.
pub fn open_client_secret(provider: &Provider) -> Result<ClientSecret> {
    let bound = [provider.client_id.as_str(), provider.api_url.as_str()];
    let place = Place { table: "providers", column: "client_secret", row: provider.id.as_bytes(), bound: &bound };
    data_key_by_id(provider.data_key_id)
        .and_then(|key| key.open(&place, &provider.client_secret))
        .and_then(|secret| match std::str::from_utf8(secret.expose()) {
            Ok(text) => Ok(ClientSecret::new(text.to_owned())),
            Err(_) => Err(ErrorCode::SealBroken.into()),
        })
        .map_err(|error| broken(error, "pass the API key to auth.configure_workos again."))
}

/// The secret of webhooks stands in the one row of its table, and is sealed with the key that seals the client secret.
const WEBHOOK_SECRET: Place<'static> =
    Place { table: "workos_sync_state", column: "webhook_secret", row: b"", bound: &[] };

/// The secret that WorkOS signs webhooks with, where one is kept.
///
/// # Errors
/// Those of a secret that does not open.
pub fn webhook_secret(provider: &Provider) -> Result<Option<WebhookSecret>> {
    let Some(sealed) = workos_sync::sealed_webhook_secret()? else { return Ok(None) };
    data_key_by_id(provider.data_key_id)
        .and_then(|key| key.open(&WEBHOOK_SECRET, &sealed))
        .and_then(|secret| match std::str::from_utf8(secret.expose()) {
            Ok(text) => Ok(Some(WebhookSecret::new(text.to_owned()))),
            Err(_) => Err(ErrorCode::SealBroken.into()),
        })
        .map_err(|error| broken(error, "pass the secret to auth.set_webhook_secret again."))
}

/// Keeps the secret that WorkOS signs webhooks with, under the key of this number; without one, none.
pub fn keep_webhook_secret(data_key_id: u32, secret: Option<&WebhookSecret>) -> Result<()> {
    let seal = |secret: &WebhookSecret| data_key_by_id(data_key_id)?.seal(&WEBHOOK_SECRET, secret.expose().as_bytes());
    workos_sync::keep_sealed_webhook_secret(secret.map(seal).transpose()?.as_deref())
}

/// The verifier toward WorkOS is sealed to its flow and to whom the flow was asked for.
fn verifier_place<'a>(flow: &'a Uuid, bound: &'a [&'a str]) -> Place<'a> {
    Place { table: "flow_states", column: "upstream_verifier", row: flow.as_bytes(), bound }
}

fn selector_parts(selector: &Selector) -> [&str; 3] {
    [selector.organization(), selector.connection(), selector.provider()].map(Option::unwrap_or_default)
}

/// Seals the verifier toward WorkOS.
pub fn seal_verifier(flow: Uuid, selector: &Selector, verifier: &CodeVerifier) -> Result<(Vec<u8>, u32)> {
    let key = data_key(Purpose::FlowVerifier)?;
    let sealed = key.seal(&verifier_place(&flow, &selector_parts(selector)), verifier.expose().as_bytes())?;
    Ok((sealed, key.id()))
}

/// Opens the verifier toward WorkOS.
pub fn open_verifier(flow: Uuid, selector: &Selector, sealed: &[u8], data_key_id: u32) -> Result<CodeVerifier> {
    let opened = data_key_by_id(data_key_id)?.open(&verifier_place(&flow, &selector_parts(selector)), sealed)?;
    let text = std::str::from_utf8(opened.expose()).map_err(|_| Error::new(ErrorCode::SealBroken))?;
    CodeVerifier::parse(text)
}

/// The code that a broker shows WorkOS is sealed to its flow and to the exchange.
fn code_place<'a>(flow: &'a Flow, bound: &'a [&'a str]) -> Place<'a> {
    Place { table: "flow_states", column: "exchange_code", row: flow.id.as_bytes(), bound }
}

/// Seals the code that a broker shows WorkOS, with the key that sealed the flow's verifier.
pub fn seal_code(flow: &Flow, exchange: Uuid, code: &AuthorizationCode) -> Result<Vec<u8>> {
    let exchange = exchange.to_string();
    data_key_by_id(flow.data_key_id)?.seal(&code_place(flow, &[&exchange]), code.expose().as_bytes())
}

/// Opens the code that a broker showed WorkOS.
pub fn open_code(flow: &Flow, exchange: &CarriedExchange) -> Result<AuthorizationCode> {
    let id = exchange.id.to_string();
    let opened = data_key_by_id(flow.data_key_id)?.open(&code_place(flow, &[&id]), &exchange.sealed_code)?;
    let text = std::str::from_utf8(opened.expose()).map_err(|_| Error::new(ErrorCode::SealBroken))?;
    workos::check_code(text)
}

/// Where WorkOS's answer stands.
const ANSWER: &str = "profile";

/// WorkOS's answer is sealed to its flow, to whom the flow was asked for, and to the challenge that must be met for it.
fn with_answer_place<T>(flow: &Flow, column: &str, f: impl FnOnce(&Place) -> T) -> T {
    let [organization, connection, provider] = selector_parts(&flow.selector);
    let challenge = flow.code_challenge.as_ref().map(CodeChallenge::value).unwrap_or_default();
    let bound = [organization, connection, provider, challenge];
    f(&Place { table: "flow_states", column, row: flow.id.as_bytes(), bound: &bound })
}

/// Seals WorkOS's answer, with the key that sealed the flow's verifier.
pub fn seal_answer(flow: &Flow, answer: &[u8]) -> Result<Vec<u8>> {
    let key = data_key_by_id(flow.data_key_id)?;
    with_answer_place(flow, ANSWER, |place| key.seal(place, answer))
}

/// Opens WorkOS's answer.
pub fn open_answer(flow: &Flow, sealed: &[u8]) -> Result<SecretBytes> {
    let key = data_key_by_id(flow.data_key_id)?;
    with_answer_place(flow, ANSWER, |place| key.open(place, sealed))
}
