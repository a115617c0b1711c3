//! Step 2: a table of the application's.

use crate::console::Console;
use crate::failure::Result;
use crate::paper::Paper;

const TABLE: &str = "create table todos (
    id           bigint generated always as identity primary key,
    organization text not null default auth.organization_id(),
    owner        uuid not null default auth.uid() references auth.users (id),
    title        text not null
);
grant select, insert on todos to authenticated;";

const ENABLE: &str = "alter table todos enable row level security;
alter table todos force row level security;";

const POLICIES: &str = "create policy \"read: your organization's\" on todos for select to authenticated
    using (organization = auth.organization_id());
create policy \"write: yours, in your organization\" on todos for insert to authenticated
    with check (organization = auth.organization_id() and owner = auth.uid());";

pub async fn tell(paper: Paper, admin: &Console) -> Result<()> {
    paper.say(
        "auth.uid() is the person who is signed in, auth.organization_id() the organization that they signed in through. As \
         defaults they fill in themselves, so that an INSERT need not say whose a row is.",
    );
    admin.run(TABLE).await?;
    paper.say(
        "Row-level security makes a table show nothing but what a policy allows. FORCE binds the table's owner too.",
    );
    admin.run(ENABLE).await?;
    paper.say(
        "The whole authorization of this application: read what is your organization's, write what is your own. Nobody signed \
         in means NULL, and NULL equals nothing: no rows.",
    );
    admin.run(POLICIES).await
}
