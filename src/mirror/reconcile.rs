//! `auth.reconcile_workos`: list after list of WorkOS is compared with the tables, a page at a time. What a list does not tell of is removed once
//! its last page was applied: a list that was cut short removes nothing.

use pgrx::datum::TimestampWithTimeZone;
use serde_json::Value;
use workos_auth_core::customers::check_organization;
use workos_auth_core::mirror::follow;
use workos_auth_core::mirror::lists::Stop;
use workos_auth_core::mirror::{Change, DirectoryGroup, Organization};
use workos_auth_core::workos::lists::{List, Page};
use workos_auth_core::{Error, ErrorCode, Result};

use super::apply::{apply_change, begin};
use super::source::{Patience, Source, writing};
use crate::installation;
use crate::postgres::clock;
use crate::postgres::procedure::Transactions;
use crate::postgres::roles::as_owner;
use crate::postgres::transaction::require_writable;
use crate::store::locks::{self, StandingLock};
use crate::store::mirror_lists::{self as store, AllKnown, KnownOf, Missing};
use crate::store::workos_sync;

/// `auth.reconcile_workos`: how many items WorkOS has told of; `None` where another does it.
///
/// # Errors
/// `validation_failed`, `workos_not_found`, and those of [`Reconciliation::step`].
pub fn reconcile(transactions: &Transactions, organization: Option<&str>) -> Result<Option<i64>> {
    require_writable()?;
    let organization = organization.map(|id| check_organization(Some(id))).transpose()?;
    let Some(mut under_way) = Reconciliation::begin(transactions, organization, Patience::OF_CALL)? else {
        return Ok(None);
    };
    while under_way.step(transactions)? {}
    Ok(Some(under_way.items))
}

/// A comparison that is under way. Whoever has it is the only one.
pub struct Reconciliation {
    organization: Option<String>,
    patience: Patience,
    stop: Option<Stop>,
    /// When the first page of the list was asked for.
    began: TimestampWithTimeZone,
    after: Option<String>,
    /// Whether all pages of the list were applied.
    is_whole: bool,
    items: i64,
    _alone: StandingLock,
}

impl Reconciliation {
    /// Begins with all of it, in the background worker; `None` where another is under way.
    ///
    /// # Errors
    /// Those of [`Source`].
    pub fn begin_in_worker(transactions: &Transactions) -> Result<Option<Self>> {
        Self::begin(transactions, None, Patience::OF_WORKER)
    }

    /// Begins with all of it, or with one organization; `None` where another is under way.
    ///
    /// # Errors
    /// Those of [`Source`].
    fn begin(transactions: &Transactions, organization: Option<&str>, patience: Patience) -> Result<Option<Self>> {
        require_writable()?;
        installation::require_home()?;
        let Some(alone) = locks::try_lock_reconciliation() else { return Ok(None) };
        transactions.apart(|| ())?;
        let began = clock::timestamp_now()?;
        let mut under_way = Self {
            organization: organization.map(str::to_owned),
            patience,
            stop: Some(Stop::first(organization)),
            began,
            after: None,
            is_whole: false,
            items: 0,
            _alone: alone,
        };
        let outcome = match organization {
            Some(id) => under_way.begin_with(transactions, id),
            None => as_owner(|| {
                Source::open(Patience::NONE)?;
                let (forget_cursor, since) = follow::begin(&workos_sync::state()?, clock::unix_seconds(clock::now()));
                workos_sync::begin_reconciliation(since, forget_cursor)
            }),
        };
        settle(transactions, outcome)?;
        Ok(Some(under_way))
    }

    /// How many items WorkOS has told of.
    pub fn items(&self) -> i64 {
        self.items
    }

    /// One organization is asked for by its id. One that is gone is removed, and there is nothing more of it.
    fn begin_with(&mut self, transactions: &Transactions, id: &str) -> Result<()> {
        let _turn = locks::lock_mirror();
        let source = as_owner(|| Source::open(self.patience))?;
        let found = transactions.apart(|| source.one(&["organizations", id]))?;
        let change = match found {
            Ok(item) => {
                let organization = Organization::read(&item)
                    .map_err(|why| Error::with_detail(ErrorCode::WorkosAnswerMalformed, format!("{why}.")))?;
                if organization.id != id {
                    let detail = "The id of the organization is not the one asked for.";
                    return Err(Error::with_detail(ErrorCode::WorkosAnswerMalformed, detail));
                }
                Change::Organization(organization)
            }
            Err(error) if error.code() == ErrorCode::WorkosNotFound => {
                self.stop = None;
                Change::OrganizationDeleted(id.to_owned())
            }
            Err(error) => return Err(error),
        };
        writing(|| remove_or_write(&change))
    }

    /// Compares a page, or one thing that a list has not told of, and commits. Whether there is more to do. What failed can be tried again.
    ///
    /// # Errors
    /// `environment_differs`; those of [`Source`], and of items that cannot be read, which are written down and committed too.
    pub fn step(&mut self, transactions: &Transactions) -> Result<bool> {
        require_writable()?;
        let Some(stop) = self.stop.clone() else { return Ok(false) };
        let outcome = match self.is_whole {
            true => self.sweep(transactions, &stop),
            false => self.take_page(transactions, &stop),
        };
        settle(transactions, outcome)?;
        Ok(self.stop.is_some())
    }

    fn take_page(&mut self, transactions: &Transactions, stop: &Stop) -> Result<()> {
        let _turn = locks::lock_mirror();
        let source = as_owner(|| Source::open(self.patience))?;
        if self.after.is_none() {
            self.began = clock::timestamp_now()?;
        }
        let page = transactions.apart(|| {
            let (path, filters) = (stop.path(), stop.filters(self.organization.as_deref()));
            let list = List { path: &path, filters: &filters };
            match stop.has_pages() {
                true => source.page(&list, self.after.as_deref()),
                false => source.whole(&list),
            }
        })?;
        let page = match page {
            // What it is a list of is gone since; its own list, or an event, tells of that.
            Err(error) if error.code() == ErrorCode::WorkosNotFound && stop.is_of_one() => return self.go_on(stop),
            page => page?,
        };
        writing(|| take(stop, &page))?;
        self.items = self.items.saturating_add(i64::try_from(page.items.len()).unwrap_or(i64::MAX));
        self.is_whole = page.after.is_none();
        self.after = page.after;
        Ok(())
    }

    /// Looks at one thing that the list has not told of, and goes on with the next list where there is none. WorkOS is asked for it by its id
    /// first: nobody is put out because a list was short of them.
    fn sweep(&mut self, transactions: &Transactions, stop: &Stop) -> Result<()> {
        let _turn = locks::lock_mirror();
        let missing = as_owner(|| {
            if *stop == Stop::Organizations {
                self.refuse_another_environment()?;
            }
            store::missing(stop, self.organization.as_deref(), self.began)
        })?;
        let Some(Missing { id, removal }) = missing else { return self.go_on(stop) };
        let Some(path) = id.as_deref().and_then(|id| stop.path_of(id)) else {
            return writing(|| remove_or_write(&removal));
        };
        let source = as_owner(|| Source::open(self.patience))?;
        match transactions.apart(|| source.one(&path))? {
            Ok(item) => {
                let page = Page { items: vec![item], after: None };
                writing(|| take(stop, &page))
            }
            Err(error) if error.code() == ErrorCode::WorkosNotFound => writing(|| remove_or_write(&removal)),
            Err(error) => Err(error),
        }
    }

    /// The key of another environment opens a list without our organizations, and each of them is unknown there by its id as well.
    fn refuse_another_environment(&self) -> Result<()> {
        let (missing, known) = store::missing_organizations(self.began)?;
        match missing.saturating_mul(2) > known {
            true => {
                let detail = format!("Its list lacks {missing} of {known}.");
                Err(Error::with_detail(ErrorCode::EnvironmentDiffers, detail))
            }
            false => Ok(()),
        }
    }

    fn go_on(&mut self, stop: &Stop) -> Result<()> {
        let next = as_owner(|| {
            let next = match self.organization.as_deref() {
                None => stop.next(None, &AllKnown)?,
                Some(id) => stop.next(Some(id), &KnownOf(id))?,
            };
            if next.is_none() && self.organization.is_none() {
                workos_sync::finish_reconciliation()?;
            }
            Ok(next)
        })?;
        (self.stop, self.after, self.is_whole) = (next, None, false);
        Ok(())
    }
}

/// Commits what came of it; a failure is written down first.
fn settle(transactions: &Transactions, outcome: Result<()>) -> Result<()> {
    let outcome = outcome.map_err(follow::about_mirror);
    if let Err(error) = &outcome {
        as_owner(|| workos_sync::note_failure(error))?;
    }
    transactions.apart(|| ())?;
    outcome
}

fn remove_or_write(change: &Change) -> Result<()> {
    begin()?;
    apply_change(change)
}

/// Takes the items of a page over.
fn take(stop: &Stop, page: &Page) -> Result<()> {
    begin()?;
    let mut ids = Vec::with_capacity(page.items.len());
    for item in &page.items {
        if let Some(change) = stop.read(item)? {
            apply_change(&change)?;
        }
        ids.extend(id_of(stop, item));
    }
    store::mark_seen(stop, &ids)?;
    take_groups(stop, page, &ids)
}

fn id_of(stop: &Stop, item: &Value) -> Option<String> {
    let name = match stop {
        Stop::Roles | Stop::RolesOf(_) => "slug",
        _ => "id",
    };
    item.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// People of a directory say which groups they are in: only what is otherwise here is changed, since nothing of it has a date.
fn take_groups(stop: &Stop, page: &Page, ids: &[String]) -> Result<()> {
    if !matches!(stop, Stop::UsersOf(_)) {
        return Ok(());
    }
    let known = store::groups_of(ids)?;
    for item in &page.items {
        let Some((user, groups)) = stop.groups(item)? else { continue };
        let is_known = |group: &str| known.iter().any(|(of, member)| *member == user.id && of.id == *group);
        for group in groups.iter().filter(|group| !is_known(&group.id)) {
            apply_change(&Change::GroupMemberAdded(group.clone(), user.clone()))?;
        }
        let is_in = |group: &DirectoryGroup| groups.iter().any(|one| one.id == group.id);
        for (group, _) in known.iter().filter(|(of, member)| *member == user.id && !is_in(of)) {
            apply_change(&Change::GroupMemberRemoved(group.clone(), user.clone()))?;
        }
    }
    Ok(())
}
