//! What a person sees: the login page of `--interactive`, and the page of an error that has nowhere to go.

use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::objects::organization::OrganizationObject;
use crate::seed::{Connection, Profile};

const STYLE: &str = include_str!("login_page.css");

/// Nothing is loaded from anywhere. No `form-action`: browsers apply it to the redirect that follows the form.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

/// Pick a person. `request` is the query string of the request that led here.
pub(crate) fn render<'a>(
    connection: &Connection,
    organization: Option<&OrganizationObject>,
    people: impl Iterator<Item = &'a Profile>,
    login_hint: Option<&str>,
    request: &str,
) -> Response {
    let whose = organization.map_or(connection.name.as_str(), |organization| &organization.name);
    let mut people: Vec<_> = people.collect();
    let hinted = |person: &Profile| login_hint.is_some_and(|hint| person.email.eq_ignore_ascii_case(hint));
    people.sort_by_key(|person| !hinted(person));
    let body = html! {
        h1 { "Sign in to " (whose) }
        p.connection { (connection.name) " · " (connection.connection_type) }
        form method="post" action="/sso/authorize/continue" {
            input type="hidden" name="request" value=(request);
            ul {
                @for person in people {
                    li {
                        button.person name="profile" value=(person.id) autofocus[hinted(person)] {
                            span.initial aria-hidden="true" { (initial(person)) }
                            span.who {
                                strong { (person.name().unwrap_or_else(|| person.email.clone())) }
                                small { (person.email) }
                            }
                        }
                    }
                }
            }
            button.cancel name="cancel" value="1" { "Cancel" }
        }
    };
    let headers = [(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY), (header::CACHE_CONTROL, "no-store")];
    (headers, Html(page(&format!("Sign in to {whose}"), body).into_string())).into_response()
}

/// An error that must not be sent to a redirect URI.
pub(crate) fn error(why: &str) -> Markup {
    page(
        "Invalid request",
        html! {
            h1 { "This sign-in cannot begin" }
            p.connection { (why) }
        },
    )
}

fn page(title: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main { (body) }
                footer { "WorkOS simulator: no real identity provider, no passwords." }
            }
        }
    }
}

fn initial(person: &Profile) -> String {
    let name = person.first_name.as_deref().filter(|name| !name.is_empty()).unwrap_or(&person.email);
    name.chars().take(1).flat_map(char::to_uppercase).collect()
}
