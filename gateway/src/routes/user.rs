//! `GET|PUT /user`: the person of the access token.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::headers::bearer;
use crate::about::About;
use crate::answer::json_response;
use crate::app::App;
use crate::error::{ApiError, Result};
use crate::json;

/// What `updateUser` sends. Members that are not named here do nothing.
#[derive(Deserialize)]
struct Update {
    data: Option<Map<String, Value>>,
    app_metadata: Option<Value>,
    email: Option<Value>,
    phone: Option<Value>,
    password: Option<Value>,
}

/// `GET /user`
pub async fn get(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response> {
    let token = bearer(&headers)?;
    let user = app.database.get_user(token).await?;
    Ok(About::token(token).on(json_response(StatusCode::OK, &user)))
}

/// `PUT /user`: `user_metadata` and nothing else.
pub async fn put(State(app): State<Arc<App>>, headers: HeaderMap, request: Request) -> Result<Response> {
    let token = bearer(&headers)?;
    let update: Update = json::read(request, &app.config).await?;
    if update.app_metadata.is_some() {
        let message = "Updating app_metadata requires admin privileges";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "not_admin", message));
    }
    for (name, value) in [("email", update.email), ("phone", update.phone), ("password", update.password)] {
        if value.is_some_and(|value| value.as_str() != Some("")) {
            let message = format!("{name} cannot be changed here: it is the identity provider's");
            return Err(ApiError::validation(message));
        }
    }
    let user = match update.data {
        Some(data) => app.database.update_user(token, &data).await?,
        None => app.database.get_user(token).await?,
    };
    Ok(About::token(token).on(json_response(StatusCode::OK, &user)))
}
