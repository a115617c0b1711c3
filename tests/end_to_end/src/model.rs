//! What Postgres's rules say a setting is: to compare with what a server says.

/// One setting of one connection, through its transactions and savepoints.
#[derive(Debug, Clone)]
pub struct Setting<T> {
    now: Value<T>,
    /// As it was at BEGIN, and at each savepoint that is still there.
    before: Vec<Value<T>>,
}

#[derive(Debug, Clone)]
struct Value<T> {
    session: T,
    local: Option<T>,
}

impl<T: Clone> Setting<T> {
    /// Outside of a transaction.
    pub fn new(session: T) -> Self {
        Self { now: Value { session, local: None }, before: Vec::new() }
    }

    /// What is in force.
    pub fn current(&self) -> &T {
        self.now.local.as_ref().unwrap_or(&self.now.session)
    }

    /// SET, for good if the transaction commits. It covers an earlier SET LOCAL.
    pub fn set(&mut self, value: T) {
        self.now = Value { session: value, local: None };
    }

    /// SET LOCAL, which is without effect outside of a transaction.
    pub fn set_local(&mut self, value: T) {
        if self.in_transaction() {
            self.now.local = Some(value);
        }
    }

    /// Whether BEGIN was not followed by COMMIT or ROLLBACK yet.
    pub fn in_transaction(&self) -> bool {
        !self.before.is_empty()
    }

    /// How many savepoints there are.
    pub fn savepoints(&self) -> usize {
        self.before.len().saturating_sub(1)
    }

    /// BEGIN, or within a transaction SAVEPOINT.
    pub fn begin(&mut self) {
        self.before.push(self.now.clone());
    }

    /// RELEASE of a savepoint, counted from 1, and of those after it.
    pub fn release(&mut self, savepoint: usize) {
        self.before.truncate(savepoint);
    }

    /// ROLLBACK TO a savepoint, counted from 1, which stays; those after it go.
    pub fn rollback_to(&mut self, savepoint: usize) {
        self.now = self.before[savepoint].clone();
        self.before.truncate(savepoint + 1);
    }

    /// COMMIT.
    pub fn commit(&mut self) {
        self.now.local = None;
        self.before.clear();
    }

    /// ROLLBACK.
    pub fn rollback(&mut self) {
        if let Some(first) = self.before.drain(..).next() {
            self.now = first;
        }
    }
}
