//! The pages of `docs/reference`: written from the catalog, `pg_settings` and the table of errors, and compared with them.
//!
//! `make docs` writes them. The tests fail where one is older than what it tells of.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tokio_postgres::{Client, Row};
use workos_auth_core::error::{ErrorCode, PostgresCode};

/// Says where a page comes from.
const WRITTEN: &str = "<!-- generated: by make docs, from COMMENT ON, the help of settings and the table of errors -->";

/// Every page: its name in `docs/reference`, and its text. `examples` are the documents that show functions in use, by their name in
/// `docs/`. The client is a superuser's, in a database with the extension; `administrator` is a role of `auth.grant_admin` there.
pub async fn pages(client: &Client, administrator: &str, examples: &[(String, String)]) -> Vec<(&'static str, String)> {
    vec![
        ("functions.md", functions(client, examples).await),
        ("settings.md", settings(client).await),
        ("tables.md", tables(client, administrator).await),
        ("errors.md", errors()),
    ]
}

/// Who may call a function: the name in `auth.rights()`, the heading, and what stands below it.
const BUNDLES: &[(&str, &str, &str)] = &[
    ("everyone", "For everyone", "Policies and people's own requests call these. No right has to be given for them."),
    ("sign_in", "For backends", "For roles of `auth.grant_sign_in`."),
    (
        "broker",
        "For brokers",
        "For roles of `auth.grant_broker`: a gateway of a database that may not talk to the outside.",
    ),
    (
        "admin",
        "For administrators",
        "For roles of `auth.grant_admin`. A role of `auth.grant_sign_in` may call some of them too.",
    ),
    (
        "",
        "For superusers",
        "Nobody else may call these, but for `auth.create_root_key`, which `pg_write_server_files` may call as well.",
    ),
];

/// Functions that stand at the end of the page, in a table: what `auth.check()` works with.
const PARTS: &str = "check_";

async fn functions(client: &Client, examples: &[(String, String)]) -> String {
    let mut page = format!(
        "# Functions\n\n{WRITTEN}\n\n\
         Each function of the schema `auth`, by who may call it first. A superuser may call all of them, and `auth.rights()` lists every right.\n\n\
         Arguments have names, so that calls read well: `auth.ban_user(user_id => …, until => …)`. NULL where a value is needed is an \
         error, `null_value` (22004).\n\n\
         [Tables and types](tables.md) shows what `auth.session` holds. [Errors](errors.md) lists what a call may raise.\n"
    );
    let sql = "
        select p.proname::text, regexp_replace(pg_get_function_arguments(p.oid), '(^|, )IN ', '\\1', 'g'),
            coalesce(pg_get_function_result(p.oid), ''), obj_description(p.oid, 'pg_proc'),
            array(select bundle from auth.rights() where privilege = 'EXECUTE'
                and to_regprocedure(substr(object, strpos(object, ' ') + 1)) = p.oid)::text[]
        from pg_proc as p
        where p.pronamespace = 'auth'::regnamespace
            and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype, 'internal'::regtype) and p.proname <> 'error_codes'
        order by p.proname, p.oid";
    let rows = client.query(sql, &[]).await.unwrap();
    let name_of = |row: &Row| row.get::<_, String>(0);
    let (parts, functions): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| name_of(row).starts_with(PARTS));
    for (bundle, heading, who) in BUNDLES {
        let _ = write!(page, "\n## {heading}\n\n{who}\n");
        let theirs: Vec<&Row> = functions.iter().copied().filter(|row| bundle_of(row) == *bundle).collect();
        assert!(!theirs.is_empty(), "nothing is {heading}");
        // Those of one name have one heading.
        for same in theirs.chunk_by(|one, other| name_of(one) == name_of(other)) {
            let name = name_of(same[0]);
            let _ = write!(page, "\n### `auth.{name}`\n");
            for row in same {
                let (arguments, result, comment): (String, String, String) = (row.get(1), row.get(2), row.get(3));
                let _ =
                    write!(page, "\n```\n{}\n```\n\n{}\n", signature(&name, &arguments, &result), sentences(&comment));
            }
            let uses = uses_of(&name, examples);
            if !uses.is_empty() {
                let _ = write!(page, "\nIn use: {uses}.\n");
            }
        }
    }
    page.push_str("\n## Parts of `auth.check()`\n\n[Security](../security.md#its-parts) says what they are for.\n\n| function | |\n|---|---|\n");
    for row in parts {
        let (arguments, comment): (String, String) = (row.get(1), row.get(3));
        let _ = writeln!(page, "| `auth.{}({arguments})` | {} |", name_of(row), cell(&comment));
    }
    page
}

/// Links to the pages whose SQL calls the function.
fn uses_of(name: &str, examples: &[(String, String)]) -> String {
    let call = format!("auth.{name}(");
    let uses = |(_, text): &&(String, String)| code_of(text).contains(&call);
    let links = examples.iter().filter(uses).map(|(path, text)| format!("[{}](../{path})", title(text)));
    links.collect::<Vec<_>>().join(", ")
}

/// The first of [`BUNDLES`] that may call it.
fn bundle_of(row: &Row) -> &'static str {
    let bundles: Vec<String> = row.get(4);
    BUNDLES
        .iter()
        .map(|(bundle, ..)| *bundle)
        .find(|bundle| bundles.iter().any(|one| one == bundle))
        .unwrap_or_default()
}

fn signature(name: &str, arguments: &str, result: &str) -> String {
    let (call, result) = match result {
        "" => ("CALL ", String::new()),
        result => ("", format!(" → {result}")),
    };
    let whole = format!("{call}auth.{name}({arguments}){result}");
    if whole.chars().count() <= 100 {
        return whole;
    }
    let arguments = arguments.split(", ").map(|argument| format!("    {argument}")).collect::<Vec<_>>().join(",\n");
    format!("{call}auth.{name}(\n{arguments}\n){result}")
}

/// What stands in the blocks of code that are SQL.
fn code_of(document: &str) -> String {
    document.split("```sql").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

fn title(document: &str) -> &str {
    document.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or("a page")
}

/// What no list of settings shows: it would show a token.
const SESSION_TOKEN: &str = "| `workos_auth.session_token` | | | anybody | The current access token. `auth.set_session` sets it. It is shown to \
                             nobody, and ignored from anywhere but the session itself. |";

async fn settings(client: &Client) -> String {
    let sql = "select name, boot_val, unit, min_val, max_val, enumvals, context, vartype, short_desc, extra_desc
        from pg_settings where name like 'workos\\_auth.%' order by name";
    // The library has to be there before its settings are.
    client.batch_execute("select auth.uid()").await.unwrap();
    let mut page = format!(
        "# Settings\n\n{WRITTEN}\n\n\
         Who may set it: *superuser* by `SET`, `ALTER DATABASE`, `ALTER ROLE` or `ALTER SYSTEM`; *file* in the configuration file alone.\n\n\
         Times take Postgres's units, such as `30min` or `7d`. A number without a unit is seconds. \
         [Operations](../operations.md#settings) says how settings become known, and shows each of them.\n\n\
         | setting | default | values | who | what it does |\n|---|---|---|---|---|\n"
    );
    let mut is_placed = false;
    for row in client.query(sql, &[]).await.unwrap() {
        let text = |at: usize| row.get::<_, Option<String>>(at).unwrap_or_default();
        let name = text(0);
        if !is_placed && name.as_str() > "workos_auth.session_token" {
            let _ = writeln!(page, "{SESSION_TOKEN}");
            is_placed = true;
        }
        let unit = text(2);
        let measured =
            |number: &str| number.parse::<i64>().map_or_else(|_| number.to_owned(), |number| quantity(number, &unit));
        let default = if text(7) == "integer" { measured(&text(1)) } else { text(1) };
        let values = match text(7).as_str() {
            "integer" => format!("{} to {}", measured(&text(3)), measured(&text(4))),
            "enum" => row.get::<_, Vec<String>>(5).iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", "),
            "bool" => "`on`, `off`".to_owned(),
            _ => "text".to_owned(),
        };
        let who = if text(6) == "sighup" { "file" } else { "superuser" };
        let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
        let _ = writeln!(
            page,
            "| `{name}` | {default} | {values} | {who} | {} |",
            cell(format!("{} {}", text(8), text(9)).trim())
        );
    }
    page
}

/// In the largest unit that divides it.
fn quantity(number: i64, unit: &str) -> String {
    let units: &[(i64, &str)] = match unit {
        "s" => &[(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")],
        "B" => &[(1024, "kB"), (1, "B")],
        _ => &[(1, "")],
    };
    let (size, name) = units.iter().find(|(size, _)| number != 0 && number % size == 0).unwrap_or(&(1, ""));
    format!("{}{name}", number / size)
}

async fn tables(client: &Client, administrator: &str) -> String {
    let mut page = format!(
        "# Tables and types\n\n{WRITTEN}\n\n\
         Every table has row-level security, and nobody but administrators reads one. They write into four tables alone: `auth.redirect_urls`, `auth.hooks`, `auth.organization_domains` and `auth.organizations`. \
         Your own tables may reference the primary keys.\n"
    );
    let sql = "
        select c.relname::text, c.relkind::text, coalesce(obj_description(c.oid, 'pg_class'), obj_description(c.reltype, 'pg_type'))
        from pg_class as c where relnamespace = 'auth'::regnamespace and relkind in ('r', 'v', 'c') order by relkind = 'c', relname";
    let columns = "
        select a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attgenerated <> '',
            col_description(a.attrelid, a.attnum), c.relkind = 'r' and has_column_privilege($2::text, a.attrelid, a.attnum, 'select')
        from pg_attribute as a join pg_class as c on c.oid = a.attrelid left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where a.attrelid = ('auth.' || quote_ident($1::text))::regclass and a.attnum > 0 and not a.attisdropped order by a.attnum";
    let constraints = "
        select pg_get_constraintdef(oid) from pg_constraint
        where conrelid = ('auth.' || quote_ident($1::text))::regclass and contype in ('p', 'u', 'f') order by contype <> 'p', contype <> 'u', 1";
    for row in client.query(sql, &[]).await.unwrap() {
        let (name, kind, comment): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        let kind = match kind.as_str() {
            "v" => "view ",
            "c" => "type ",
            _ => "",
        };
        let _ = write!(page, "\n## {kind}`auth.{name}`\n\n{}\n\n", sentences(&comment));
        page.push_str("| column | type | | read by | what it holds |\n|---|---|---|---|---|\n");
        for column in client.query(columns, &[&name, &administrator]).await.unwrap() {
            let default: Option<String> = column.get(3);
            let (is_required, is_generated, is_read): (bool, bool, bool) =
                (column.get(2), column.get(4), column.get(6));
            let mut notes = Vec::new();
            if is_required {
                notes.push("not null".to_owned());
            }
            match default {
                Some(_) if is_generated => notes.push("generated".to_owned()),
                Some(default) => notes.push(format!("default `{}`", default.replace("'{}'::text[]", "'{}'"))),
                None => {}
            }
            let who = if is_read { "administrators" } else { "" };
            let said: String = column.get(5);
            let (column, of): (String, String) = (column.get(0), column.get(1));
            let _ = writeln!(page, "| `{column}` | {of} | {} | {who} | {} |", notes.join(", "), cell(&said));
        }
        let constraints = client.query(constraints, &[&name]).await.unwrap();
        if !constraints.is_empty() {
            page.push('\n');
        }
        for constraint in constraints {
            let _ = writeln!(page, "- `{}`", constraint.get::<_, String>(0));
        }
    }
    page
}

/// Where the SQLSTATEs of a section begin, its heading, and what a caller does in general.
const CLASSES: &[(&str, &str, &str)] = &[
    ("WA0", "Starting a sign-in", "The call has to be changed. Nothing was written."),
    (
        "WA1",
        "Setting up",
        "An administrator or a superuser mends the database. People cannot sign in until then; sessions that are open go on.",
    ),
    ("WA2", "Exchanging a code", "Start the sign-in again, unless the row says otherwise."),
    (
        "WA3",
        "What WorkOS answered",
        "Where WorkOS has not seen the code, the same call can be tried again. Otherwise start the sign-in again.",
    ),
    ("WA4", "Whose account it is", "The person cannot sign in like this. Tell them so; an administrator may mend it."),
    ("WA5", "Tokens and sessions", "`bad_jwt_expired` and `session_stale`: refresh. Most others: sign in again."),
    (
        "WA6",
        "The mirror of WorkOS",
        "Nothing was applied. Whoever follows WorkOS's events tries again, or is told what to do.",
    ),
];

fn errors() -> String {
    let mut page = format!(
        "# Errors\n\n{WRITTEN}\n\n\
         Every failure that a program may want to tell apart has a SQLSTATE, the five characters that Postgres calls an error by, and a name. \
         The view `auth.error_codes` has the same list. The particulars of a failure are in the DETAIL of the error.\n\n\
         The column *HTTP* is the status that the gateway answers with.\n\n\
         ## What a program does\n\n\
         | error | what to do |\n|---|---|\n\
         | WA508, WA510 | refresh the session, and ask again |\n\
         | WA501 to WA507, WA509, WA513 to WA518 | sign in again |\n\
         | WA207 | wait for the other call, and go on with the newest token that was answered |\n\
         | WA512 | a fault of the program: `set local role` comes before `auth.set_session` |\n\
         | 40001, 40P01 | run the transaction again |\n\
         | HTTP 503 | try again later; where it stays, an administrator has to look |\n\
         | HTTP 429 | wait, as long as the detail says |\n\
         | WA402, WA403, WA407 | tell the person that they may not sign in |\n\
         | anything else | it is a fault of the program or of the set-up: write SQLSTATE, detail and hint into your log |\n"
    );
    let is_classed = |code: &&ErrorCode| CLASSES.iter().any(|(class, ..)| code.sqlstate().starts_with(class));
    let head = "| SQLSTATE | name | HTTP | meaning | what to do |\n|---|---|---|---|---|\n";
    let row = |code: &ErrorCode| {
        let detail = if code.detail().is_empty() { String::new() } else { format!(". {}", code.detail()) };
        format!(
            "| {} | `{}` | {} | {} | {} |\n",
            code.sqlstate(),
            code.name(),
            code.http_status(),
            cell(&format!("{}{detail}", code.message())),
            cell(code.hint())
        )
    };
    for (class, heading, general) in CLASSES {
        let _ = write!(page, "\n## {heading}\n\n{general}\n\n{head}");
        let ours: BTreeMap<&str, &ErrorCode> = ErrorCode::ALL
            .iter()
            .filter(|code| code.sqlstate().starts_with(class))
            .map(|code| (code.sqlstate(), code))
            .collect();
        page.extend(ours.into_values().map(row));
    }
    let _ = write!(page, "\n## Codes of Postgres that keep their meaning\n\n{head}");
    page.extend(ErrorCode::ALL.iter().filter(|code| !is_classed(code)).map(row));
    page.push_str(
        "\n## What Postgres itself refuses\n\n\
         Two characters stand for the other codes of that class.\n\n| SQLSTATE | name | HTTP | meaning |\n|---|---|---|---|\n",
    );
    for code in PostgresCode::ALL {
        let _ =
            writeln!(page, "| {} | `{}` | {} | {} |", code.sqlstate, code.name, code.http_status, cell(code.meaning));
    }
    page
}

/// A comment as sentences: one for each part between semicolons, with a capital, unless it begins with a name, and a full stop.
fn sentences(comment: &str) -> String {
    let sentence = |part: &str| {
        let first = part.split(' ').next().unwrap_or_default();
        let text = match part.chars().next() {
            Some(letter) if !first.contains(['.', '_']) => letter.to_uppercase().chain(part.chars().skip(1)).collect(),
            _ => part.to_owned(),
        };
        let text = with_code(&text);
        if text.ends_with('.') { text } else { text + "." }
    };
    comment.split("; ").map(sentence).collect::<Vec<_>>().join(" ")
}

/// A text within a table.
fn cell(text: &str) -> String {
    with_code(text).replace('|', "\\|")
}

/// Marks what is SQL as code: names with a dot or an underscore, calls, and what has a sign of its own.
fn with_code(text: &str) -> String {
    let is_name = |word: &str| {
        let letters = word.chars().all(|letter| letter.is_ascii_alphanumeric() || "._*-".contains(letter));
        letters
            && word.len() > 2
            && word.contains(['.', '_'])
            && !word.ends_with('.')
            && word.starts_with(|letter: char| letter.is_ascii_alphabetic())
    };
    let word = |word: &str| {
        let core = word.trim_end_matches([',', ';', ':', '.', ')', '\'']).trim_start_matches(['(', '\'']);
        let call = word.trim_end_matches([',', ';', ':', '.']);
        if call.ends_with("()") && call.starts_with("auth.") {
            return word.replacen(call, &format!("`{call}`"), 1);
        }
        if is_name(core) && !core.starts_with("e.g") {
            word.replacen(core, &format!("`{core}`"), 1)
        } else {
            word.to_owned()
        }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}
