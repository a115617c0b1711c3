//! `auth.configure_workos` and `auth.configure_authkit`: looks at the caller's rights, resolves the secret, and writes the provider as the owner.

use std::path::Path;

use serde_json::json;
use workos_auth_core::authorize::{DEFAULT_API_URL, Product, check_api_url, check_redirect_uri};
use workos_auth_core::secret::ClientSecret;
use workos_auth_core::{Error, ErrorCode, Result, random};

use crate::audit::audit;
use crate::postgres::roles::{Right, as_owner, require_right};
use crate::postgres::transaction::require_writable;
use crate::secrets::secret_file::{self, Unusable};
use crate::store::configuration::{Provider, provider, set_product, upsert_provider};
use crate::store::{Subject, locks, workos_sync};
use crate::{installation, secrets};

/// The arguments, as they came from SQL.
pub struct Configuration<'a> {
    /// WorkOS's client id
    pub client_id: Option<&'a str>,
    /// the callback that WorkOS knows
    pub redirect_uri: Option<&'a str>,
    /// WorkOS's API key
    pub client_secret: Option<&'a str>,
    /// a file on the server that holds it
    pub client_secret_file: Option<&'a str>,
    /// where WorkOS is
    pub api_url: Option<&'a str>,
    /// whether people may sign in
    pub enabled: Option<bool>,
    /// through which products; it stays as it is where nothing is said
    pub product: Option<Product>,
}

/// The largest key file; the longest key.
const SECRET: usize = 4096;

/// Creates or updates the WorkOS provider. Not in a copy: what it says of keys and of WorkOS would be taken for the installation's.
pub fn configure(configuration: &Configuration) -> Result<()> {
    require_writable()?;
    let client_id = configuration.client_id.ok_or_else(|| Error::null("client_id"))?;
    let redirect_uri = configuration.redirect_uri.ok_or_else(|| Error::null("redirect_uri"))?;
    let api_url = configuration.api_url.ok_or_else(|| Error::null("api_url"))?;
    let enabled = configuration.enabled.ok_or_else(|| Error::null("enabled"))?;
    if client_id.is_empty() || client_id.len() > 255 || !client_id.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Error::invalid(
            "client_id",
            "it must be 1 to 255 visible ASCII characters, as the WorkOS dashboard shows it.",
        ));
    }
    check_redirect_uri(redirect_uri)?;
    let api_url = check_api_url(api_url)?;
    if api_url != DEFAULT_API_URL {
        require_right(
            Right::Superuser,
            "An api_url other than WorkOS's own is a superuser's to set: client secret and codes are sent there.",
        )?;
    }
    let secret = secret(configuration)?;

    as_owner(|| {
        locks::lock_setup();
        installation::refuse_copy()?;
        secrets::set_up()?;
        let known = provider()?;
        let of_webhooks = known.as_ref().map(secrets::webhook_secret).and_then(Result::ok).flatten();
        let is_other = known.as_ref().is_some_and(|known| known.client_id != client_id || known.api_url != api_url);
        let id = match &known {
            Some(known) => known.id,
            None => random::uuid()?,
        };
        let (client_secret, data_key_id) = match (secret, known) {
            (Some(secret), _) => secrets::seal_client_secret(id, client_id, &api_url, &secret)?,
            (None, Some(known)) if known.client_id == client_id && known.api_url == api_url => {
                (known.client_secret, known.data_key_id)
            }
            (None, _) => return Err(ErrorCode::ClientSecretRequired.into()),
        };
        upsert_provider(&Provider {
            id,
            enabled,
            client_id: client_id.to_owned(),
            client_secret,
            data_key_id,
            redirect_uri: redirect_uri.to_owned(),
            api_url: api_url.clone(),
        })?;
        match of_webhooks {
            // What was followed, and who signed webhooks, was another environment.
            _ if is_other => workos_sync::forget()?,
            Some(secret) => secrets::keep_webhook_secret(data_key_id, Some(&secret))?,
            None => {}
        }
        let mut payload =
            json!({ "client_id": client_id, "redirect_uri": redirect_uri, "api_url": api_url, "enabled": enabled });
        if let Some(product) = configuration.product {
            set_product(product)?;
            payload["product"] = json!(product.as_str());
        }
        audit("provider_configured", &Subject::default(), payload)
    })
}

fn secret(configuration: &Configuration) -> Result<Option<ClientSecret>> {
    match (configuration.client_secret, configuration.client_secret_file) {
        (Some(_), Some(_)) => Err(Error::invalid("client_secret_file", "client_secret was passed too.")),
        (Some(secret), None) if is_key(secret) => Ok(Some(ClientSecret::new(secret.to_owned()))),
        (Some(_), None) => Err(Error::invalid("client_secret", "it must be 1 to 4096 visible ASCII characters.")),
        (None, Some(path)) => secret_file(path).map(Some),
        (None, None) => Ok(None),
    }
}

fn is_key(text: &str) -> bool {
    (1..=SECRET).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

fn secret_file(path: &str) -> Result<ClientSecret> {
    require_right(
        Right::ReadServerFiles,
        "A file of the server is read for superusers and members of pg_read_server_files.",
    )?;
    let path = Path::new(path);
    let refused = |detail: String| Error::with_detail(ErrorCode::ClientSecretFileInvalid, detail);
    let unusable = |why: Unusable| match why {
        Unusable::Exposed { .. } => refused(why.about(path)).hint(ErrorCode::RootKeyExposed.hint()),
        _ => refused(why.about(path)),
    };
    let file = secret_file::open(path).map_err(unusable)?;
    let bytes = secret_file::read(file, SECRET).map_err(unusable)?;
    // Editors end a file with a line feed.
    match std::str::from_utf8(&bytes).map(|text| text.trim_end_matches(['\r', '\n'])) {
        Ok(key) if bytes.len() <= SECRET && is_key(key) => Ok(ClientSecret::new(key.to_owned())),
        _ => Err(refused(format!("{} does not hold one key and nothing else.", path.display()))),
    }
}
