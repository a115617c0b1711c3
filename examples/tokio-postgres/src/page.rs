//! What the browser sees. maud escapes every value.

use axum::response::Html;
use maud::{DOCTYPE, Markup, html};

pub fn page(body: Markup) -> Html<String> {
    Html(html! { (DOCTYPE) meta charset="utf-8"; title { "Todos" } (body) }.into_string())
}

pub fn sign_in_links() -> Markup {
    html! {
        p {
            "Sign in: " a href="/login?organization=org_acme" { "Acme" } " "
            a href="/login?organization=org_globex" { "Globex" }
        }
    }
}

pub fn todos(email: Option<&str>, organization: Option<&str>, titles: Vec<&str>) -> Markup {
    html! {
        p { (email.unwrap_or_default()) " of " (organization.unwrap_or_default()) }
        ul { @for title in titles { li { (title) } } }
        form method="post" action="/todos" { input name="title" required; " " button { "Add" } }
        form method="post" action="/logout" { button { "Sign out" } }
    }
}
