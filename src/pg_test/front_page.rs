//! The sign-in of the README, against the simulator.

use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use std::collections::HashMap;

    use reqwest::header::LOCATION;
    use reqwest::redirect::Policy;
    use workos_auth_core::ErrorCode;

    use super::*;
    use crate::pg_test::fixture::{assert_refused, configure, quoted, run, text};

    /// Goes where a browser goes with the authorize URL, and returns the query of the redirect URI that it comes back to.
    fn browse(url: &str) -> HashMap<String, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(async {
            let browser = reqwest::Client::builder().redirect(Policy::none()).no_proxy().build().unwrap();
            browser.get(url).send().await.unwrap()
        });
        let location = answer.headers().get(LOCATION).unwrap_or_else(|| panic!("WorkOS answered {}", answer.status()));
        let callback = reqwest::Url::parse(location.to_str().unwrap()).unwrap();
        callback.query_pairs().into_owned().collect()
    }

    /// The columns of one row, as text.
    fn row<const N: usize>(columns: [&str; N], from: &str) -> [String; N] {
        let row = text(&format!("select jsonb_build_array({}) from {from}", columns.join(", ")));
        let values = workos_auth_core::json::parse(&row).unwrap();
        let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        std::array::from_fn(|column| text(&values[column]))
    }

    #[pg_test]
    fn a_person_signs_in_and_sees_what_is_theirs() {
        configure();
        run("create role test_app; create role test_authenticated; grant test_authenticated to test_app;
             select auth.grant_sign_in('test_app');
             create table public.test_todos (
                 organization text not null default auth.organization_id(),
                 owner uuid not null default auth.uid() references auth.users (id), task text not null);
             alter table public.test_todos enable row level security;
             create policy members on public.test_todos to test_authenticated using (organization = auth.organization_id());
             grant select, insert on public.test_todos to test_authenticated;
             set local workos_auth.rls_guard = 'error'");

        let sign_in = |email: &str, organization: &str| {
            run("set local role test_app");
            let [url, state, verifier] = row(
                ["url", "state", "code_verifier"],
                &format!(
                    "auth.start_sign_in(organization => '{organization}', redirect_to => 'http://localhost:3000/todos', login_hint => '{email}')"
                ),
            );
            let callback = browse(&url);
            assert_eq!(callback["state"], state);
            let exchange =
                format!("auth.exchange_code({}, {}, {})", quoted(&callback["code"]), quoted(&verifier), quoted(&state));
            let session = row(["access_token", "email", "redirect_to", "is_new_user"], &exchange);
            // A code is good once.
            assert_refused(&format!("select {exchange}"), ErrorCode::FlowStateNotFound);
            session
        };
        let [alice, email, redirect_to, is_new] = sign_in("alice@acme.com", "org_acme");
        assert_eq!(
            (email.as_str(), redirect_to.as_str(), is_new.as_str()),
            ("alice@acme.com", "http://localhost:3000/todos", "true")
        );
        let [bob, ..] = sign_in("bob@globex.com", "org_globex");

        let tasks = |token: &str, task: &str| {
            run("set local role test_authenticated");
            run(&format!("select auth.set_session({})", quoted(token)));
            run(&format!("insert into public.test_todos (task) values ('{task}')"));
            text("select string_agg(task, ', ' order by task) from public.test_todos")
        };
        assert_eq!(tasks(&alice, "read every line"), "read every line");
        assert_eq!(tasks(&bob, "build"), "build");
        assert_eq!(tasks(&alice, "read them again"), "read every line, read them again");
        assert_eq!(
            text(
                "select concat_ws(' ', auth.email(), auth.organization_id(), auth.has_role('admin', auth.organization_id()))"
            ),
            "alice@acme.com org_acme t"
        );

        // The end of it: the next statement that carries the token is refused.
        run(&format!("select auth.sign_out(access_token => {})", quoted(&alice)));
        assert_refused(&format!("select auth.set_session({})", quoted(&alice)), ErrorCode::SessionNotFound);
        assert_refused(&format!("select auth.verify_token({})", quoted(&alice)), ErrorCode::SessionNotFound);
        run(&format!("select auth.set_session({})", quoted(&bob)));
        assert_eq!(text("select count(*) from public.test_todos"), "1");
    }
}
