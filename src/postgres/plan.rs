//! What a plan calls and names, as far as it is asked for while the plan runs.

use pgrx::prelude::*;

use super::{citus, roles};

/// Of a plan that runs. Copied when it begins to run: it may be asked for when the plan is gone.
#[derive(Clone, Copy)]
pub struct Parts {
    /// Whether it writes rows, and so may run what others have attached to a table.
    pub writes: bool,
    /// Whether it names a table or a view.
    pub names_tables: bool,
    /// Whether Citus has other nodes run a part of it. Which views there were, such a plan does not tell.
    pub is_spread: bool,
    /// The hashes of the functions that it calls and that are not Postgres's own.
    functions: Few,
    /// The OIDs of the tables and views that it names, where it calls such a function.
    tables: Few,
}

impl Parts {
    /// Of a plan.
    pub fn of(plan: &pg_sys::PlannedStmt) -> Self {
        let functions = Few::of(plan.invalItems, |cell| {
            // SAFETY: what such a list holds.
            let item = unsafe { &*cell.ptr_value.cast::<pg_sys::PlanInvalItem>() };
            (item.cacheId == pg_sys::SysCacheIdentifier::PROCOID as i32).then(|| item.hashValue)
        });
        let tables = match functions.count {
            0 => Few::NONE,
            // SAFETY: a list of OIDs.
            _ => Few::of(plan.relationOids, |cell| Some(unsafe { cell.oid_value }.to_u32())),
        };
        let is_spread = citus::is_spread(plan);
        Self {
            writes: plan.commandType != pg_sys::CmdType::CMD_SELECT || plan.hasModifyingCTE,
            names_tables: is_spread || !plan.relationOids.is_null(),
            is_spread,
            functions,
            tables,
        }
    }

    /// Whether the plan itself calls a function that is not one of Postgres's own. Not told of one that calls many.
    pub fn calls(&self, function: pg_sys::Oid) -> bool {
        let none = pg_sys::Datum::from(0);
        // SAFETY: computes a number.
        let hash = unsafe {
            pg_sys::GetSysCacheHashValue(
                pg_sys::SysCacheIdentifier::PROCOID as i32,
                pg_sys::Datum::from(function),
                none,
                none,
                none,
            )
        };
        self.functions.all().is_some_and(|functions| functions.contains(&hash))
    }

    /// Whether views or policies have become a part of the plan, whose authors may be others: those of our tables are not. Asked of a plan
    /// that calls a function which is not Postgres's own.
    pub fn has_parts_of_others(&self) -> bool {
        let is_of_others = |&table: &u32| {
            let table = pg_sys::Oid::from(table);
            // SAFETY: catalog look-ups by OID, without an error for what is gone.
            unsafe {
                pg_sys::get_rel_relkind(table).cast_unsigned() == pg_sys::RELKIND_VIEW
                    || roles::owner_of_table(table) != Some(roles::owner())
                        && pg_sys::check_enable_rls(table, pg_sys::InvalidOid, true)
                            == pg_sys::CheckEnableRlsResult::RLS_ENABLED.cast_signed()
            }
        };
        self.is_spread || self.tables.all().is_none_or(|tables| tables.iter().any(is_of_others))
    }
}

/// The first numbers of a list.
#[derive(Clone, Copy)]
struct Few {
    numbers: [u32; Few::MOST],
    /// How many there are, also where these are more.
    count: usize,
}

impl Few {
    const MOST: usize = 8;
    const NONE: Self = Self { numbers: [0; Self::MOST], count: 0 };

    fn of(list: *const pg_sys::List, read: impl Fn(&pg_sys::ListCell) -> Option<u32>) -> Self {
        let mut few = Self::NONE;
        // SAFETY: NIL, or a list of Postgres's.
        let cells = unsafe {
            list.as_ref().map_or(&[][..], |list| {
                std::slice::from_raw_parts(list.elements, usize::try_from(list.length).unwrap_or_default())
            })
        };
        for number in cells.iter().filter_map(read) {
            if let Some(place) = few.numbers.get_mut(few.count) {
                *place = number;
            }
            few.count += 1;
        }
        few
    }

    /// All of them; none where there are too many.
    fn all(&self) -> Option<&[u32]> {
        self.numbers.get(..self.count)
    }
}
