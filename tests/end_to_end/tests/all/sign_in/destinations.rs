//! Where the database may be made to talk to: to one address, which a superuser chooses, and to nobody that somebody else names.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use workos_end_to_end::bed::{ALICE, configure_workos, exchange, start};
use workos_end_to_end::made;
use workos_end_to_end::sql::{refused, refused_as, text};
use workos_end_to_end::{Bed, case};
use workos_testbed::workos::CLIENT_SECRET;

/// What says by which way the database talks to WorkOS.
const SETTINGS: [&str; 3] = ["https_proxy", "https_proxy_credentials_file", "ca_file"];

/// A server that says where else to go, whatever it is asked.
async fn server(head: String) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let head = head.clone();
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let (mut line, mut length) = (String::new(), 0);
                while stream.read_line(&mut line).await.unwrap() > 2 {
                    let of_length = line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned);
                    length = of_length.map_or(length, |value| value.trim().parse().unwrap());
                    line.clear();
                }
                stream.read_exact(&mut vec![0; length]).await.unwrap();
                stream.write_all(head.as_bytes()).await.unwrap();
            });
        }
    });
    (url, asked)
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let bed = Bed::shared("redirects").await;
    let (elsewhere, visits) = server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".into()).await;
    for status in [300, 301, 302, 303, 307, 308] {
        case!(status);
        let answer = format!(
            "HTTP/1.1 {status} Elsewhere\r\nLocation: {elsewhere}/latest/meta-data\r\nRefresh: 0; url={elsewhere}/\r\nContent-Length: 0\r\n\
             Connection: close\r\n\r\n"
        );
        let (url, asked) = server(answer).await;
        let there = configure_workos(&format!(", client_secret => '{CLIENT_SECRET}', api_url => '{url}'"));
        bed.admin.batch_execute(&there).await.unwrap();
        let sql = "select auth.exchange_code('code', code_verifier, state) from auth.start_sign_in(organization => 'org_acme')";
        let error = refused(bed.backend().await.query_one(sql, &[]).await, "workos_rejected");
        assert!(error.detail.contains(&format!("WorkOS answered {status}")), "{error}");
        assert_eq!((asked.load(Ordering::SeqCst), visits.load(Ordering::SeqCst)), (1, 0));
    }
}

/// Neither by `auth.configure_workos`, nor in its table, nor by a setting: for the session, for roles and databases, or for the server.
#[tokio::test]
async fn only_a_superuser_says_where_the_database_talks_to() {
    let bed = Bed::shared("chosen").await;
    let pending = start(&bed.admin, ALICE).await;
    let operator = made::administrator(&bed).await;
    let broker = bed.role("broker", "").await;
    bed.admin.execute("select auth.grant_broker($1::text::regrole)", &[&broker]).await.unwrap();
    let person = bed.role("person", "").await;
    let (elsewhere, visits) = server("HTTP/1.1 500 Elsewhere\r\nContent-Length: 0\r\n\r\n".into()).await;
    let clients = [
        ("an administrator", operator),
        ("a backend", bed.backend().await),
        ("a broker", bed.connect(&broker).await),
        ("a person", bed.connect(&person).await),
    ];
    for (who, client) in &clients {
        // Before the library is loaded, nobody knows yet what may be set. It forgets that when it is.
        for setting in SETTINGS {
            client.batch_execute(&format!("set workos_auth.{setting} = '{elsewhere}'")).await.ok();
        }
        client.batch_execute("select auth.uid()").await.unwrap();
        let shown = "select current_setting('workos_auth.https_proxy') || current_setting('workos_auth.ca_file')";
        assert_eq!(text(client, shown).await.unwrap().as_deref(), Some(""), "{who}");
        let mut statements = vec![
            configure_workos(&format!(", client_secret => 'k', api_url => '{elsewhere}'")),
            format!("update auth.providers set api_url = '{elsewhere}'"),
            format!("update auth.flow_states set api_url = '{elsewhere}'"),
        ];
        for setting in SETTINGS {
            statements.extend([
                format!("set workos_auth.{setting} = '{elsewhere}'"),
                format!("select auth.alter_system('workos_auth.{setting}', '{elsewhere}')"),
                format!("alter role current_user set workos_auth.{setting} = '{elsewhere}'"),
                bed.named(&format!("alter database DATABASE set workos_auth.{setting} = '{elsewhere}'")),
            ]);
        }
        for statement in statements {
            case!(who, statement);
            refused_as(client.batch_execute(&statement).await, "42501");
        }
    }
    // Nor do the arguments of a sign-in choose a host.
    let backend = &clients[1].1;
    for selector in [
        format!("organization => 'org_acme', redirect_to => '{elsewhere}'"),
        format!("organization => '{elsewhere}'"),
        format!("connection => '{elsewhere}'"),
        format!("provider => '{elsewhere}'"),
        format!("organization => 'org_acme', domain_hint => '{elsewhere}', login_hint => '{elsewhere}'"),
        format!("organization => 'org_acme', params => '{{\"api_url\": \"{elsewhere}\"}}'"),
    ] {
        case!(selector);
        if let Ok(row) = backend
            .query_one(&format!("select url, state, code_verifier from auth.start_sign_in({selector})"), &[])
            .await
        {
            let (url, state, verifier): (String, String, String) = (row.get(0), row.get(1), row.get(2));
            assert!(url.starts_with(&bed.workos.url()), "{url}");
            let sql = "select auth.exchange_code($1, $2, $3)";
            for code in [elsewhere.as_str(), "@127.0.0.1", "../../elsewhere"] {
                refused(backend.query_one(sql, &[&code, &verifier, &state]).await, "workos_invalid_grant");
            }
        }
    }
    exchange(backend, &pending).await.unwrap();
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}
