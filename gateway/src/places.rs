//! Who has a connection, and how long a client may take for each step of it.
//!
//! Connections that nobody waits for cost others nothing: where places are short, the one that has been the longest without a request in
//! the making gives up its place. No request is lost by that: only a connection whose request has not yet begun to be answered, or
//! whose client does not take the answer, can be given up. Each step has a deadline, counted from its beginning: what a client sends or
//! takes byte by byte does not move it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::address::{counted, is_trusted};
use crate::config::Config;
use crate::limits::UnderWay;
use crate::metrics::Connections;

/// How long is read on, after the answer, what nobody wants: see [`Seat::closing`].
const LINGER: Duration = Duration::from_secs(2);

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The client says who it is, in TLS
    Handshake,
    /// No byte of a request has come
    Idle,
    /// The head of a request has begun to come
    Head,
    /// The request cannot be worked on before the rest of its body has come
    Body,
    /// The request is worked on
    Served,
    /// The answer goes out
    Answer,
    /// The answer is out, and the connection closes
    Closing,
    /// Its place is somebody else's
    Gone,
}

/// How long each step may take. Reading a body and working on a request have limits of their own, which are told to the client.
#[derive(Debug, Clone, Copy)]
struct Times {
    idle: Duration,
    head: Duration,
    answer: Duration,
}

/// The places of one listener.
#[derive(Debug)]
pub struct Places {
    most: usize,
    most_of_one: usize,
    proxies: Vec<IpNet>,
    times: Times,
    taken: Mutex<Taken>,
    /// A place is free, or could be made free.
    freed: Arc<Notify>,
    figures: Connections,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    seats: HashMap<u64, Arc<Seat>>,
    of_one: HashMap<IpAddr, usize>,
}

impl Places {
    /// As configured.
    pub fn new(config: &Config, figures: Connections) -> Arc<Self> {
        Arc::new(Self {
            most: usize::try_from(config.max_connections).unwrap_or(usize::MAX),
            most_of_one: usize::try_from(config.max_per_address).unwrap_or(usize::MAX),
            proxies: config.trusted_proxies.clone(),
            times: Times { idle: config.idle_timeout, head: config.header_timeout, answer: config.answer_timeout },
            taken: Mutex::default(),
            freed: Arc::default(),
            figures,
        })
    }

    /// A place for a connection from there. Waits only while each place has a request that is being worked on.
    ///
    /// Of one address there are no more than [`Config::max_per_address`], but for those whose requests are all being worked on: the next
    /// one is let in, to be told 429 by [`crate::limits::AtOnce`]. A trusted proxy's connections are many people's, and are not counted.
    pub async fn take(self: &Arc<Self>, peer: IpAddr, step: Step) -> Place {
        loop {
            let freed = self.freed.notified();
            if let Some(place) = self.try_take(peer, step) {
                return place;
            }
            freed.await;
        }
    }

    fn try_take(self: &Arc<Self>, peer: IpAddr, step: Step) -> Option<Place> {
        let mut taken = self.taken();
        let address = (!is_trusted(peer, &self.proxies)).then(|| counted(peer.to_canonical()));
        let of_one = address.and_then(|address| taken.of_one.get(&address)).copied().unwrap_or_default();
        if of_one >= self.most_of_one && taken.give_up(|seat| seat.address == address) {
            self.figures.given_up();
        }
        if taken.seats.len() >= self.most {
            if !taken.give_up(|_| true) {
                return None;
            }
            self.figures.given_up();
        }
        let seat = Arc::new(Seat {
            address,
            times: self.times,
            now: Mutex::new(Now { step, since: Instant::now(), unsent_since: None, is_unread: false, under_way: None }),
            gone: Notify::new(),
            freed: Arc::clone(&self.freed),
        });
        let number = taken.next;
        taken.next = number.wrapping_add(1);
        taken.seats.insert(number, Arc::clone(&seat));
        if let Some(address) = address {
            let of_one = taken.of_one.entry(address).or_default();
            *of_one = of_one.saturating_add(1);
        }
        drop(taken);
        self.figures.opened();
        Some(Place { places: Arc::clone(self), number, seat })
    }

    /// Gives up one place, where the process has no file descriptor left for another connection.
    pub fn make_room(&self) {
        if self.taken().give_up(|_| true) {
            self.figures.given_up();
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// The longest at a step that nobody waits for; a proxy's last, which is many people's.
    fn give_up(&mut self, may: impl Fn(&Seat) -> bool) -> bool {
        let found = self
            .seats
            .iter()
            .filter(|(_, seat)| may(seat))
            .filter_map(|(number, seat)| Some((seat.address.is_none(), seat.free_since()?, *number)))
            .min();
        let Some((_, _, number)) = found else { return false };
        match self.remove(number) {
            // It may have begun to be served in between.
            Some(seat) if !seat.leave() => {
                self.insert(number, seat);
                false
            }
            Some(_) => true,
            None => false,
        }
    }

    fn insert(&mut self, number: u64, seat: Arc<Seat>) {
        if let Some(address) = seat.address {
            let of_one = self.of_one.entry(address).or_default();
            *of_one = of_one.saturating_add(1);
        }
        self.seats.insert(number, seat);
    }

    fn remove(&mut self, number: u64) -> Option<Arc<Seat>> {
        let seat = self.seats.remove(&number)?;
        if let Some(address) = seat.address
            && let Some(of_one) = self.of_one.get_mut(&address)
        {
            *of_one = of_one.saturating_sub(1);
            if *of_one == 0 {
                self.of_one.remove(&address);
            }
        }
        Some(seat)
    }
}

/// A connection's, until it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    number: u64,
    /// Where it stands.
    pub seat: Arc<Seat>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().remove(self.number);
        self.places.figures.closed();
        self.places.freed.notify_one();
    }
}

/// Where a connection stands, for those who work on it and for those who want its place.
#[derive(Debug)]
pub struct Seat {
    /// Whom it counts for; `None` is a trusted proxy.
    address: Option<IpAddr>,
    times: Times,
    now: Mutex<Now>,
    gone: Notify,
    freed: Arc<Notify>,
}

#[derive(Debug)]
struct Now {
    step: Step,
    since: Instant,
    /// Since when some of what was written has not gone out.
    unsent_since: Option<Instant>,
    /// Whether a body was answered before it had come.
    is_unread: bool,
    /// The request in the count of its address.
    under_way: Option<UnderWay>,
}

impl Now {
    fn go(&mut self, step: Step) {
        (self.step, self.since) = (step, Instant::now());
    }
}

impl Seat {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the client must be done with what it does; `None` while it is the server's turn.
    pub fn deadline(&self) -> Option<Instant> {
        let now = self.now();
        let of_step = match now.step {
            Step::Idle => Some(self.times.idle),
            Step::Handshake | Step::Head => Some(self.times.head),
            Step::Answer => Some(self.times.answer),
            Step::Closing => Some(LINGER),
            Step::Body | Step::Served | Step::Gone => None,
        };
        let of_step = of_step.and_then(|time| now.since.checked_add(time));
        let of_answer = now.unsent_since.and_then(|since| since.checked_add(self.times.answer));
        [of_step, of_answer].into_iter().flatten().min()
    }

    /// Where it stands.
    pub fn step(&self) -> Step {
        self.now().step
    }

    /// Waits until its place is somebody else's.
    pub async fn gone(&self) {
        self.gone.notified().await;
    }

    /// The handshake is done.
    pub fn shaken_hands(&self) {
        self.go_on(|step| step == Step::Handshake, Step::Idle);
    }

    /// Bytes have come.
    pub fn received(&self) {
        self.go_on(|step| step == Step::Idle, Step::Head);
    }

    /// The head has come.
    ///
    /// # Errors
    /// [`GivenUp`]
    pub fn begun(&self) -> Result<(), GivenUp> {
        self.now().is_unread = false;
        self.advance(Step::Served)
    }

    /// The request is counted for its address until it is answered or given up: with its place, a connection gives up its part of the
    /// count, so that who takes the place can use it.
    pub fn counted(&self, under_way: UnderWay) {
        let mut now = self.now();
        if now.step != Step::Gone {
            now.under_way = Some(under_way);
        }
    }

    /// Nothing is done before the body has come.
    ///
    /// # Errors
    /// [`GivenUp`]
    pub fn wants_body(&self) -> Result<(), GivenUp> {
        self.advance(Step::Body)
    }

    /// The body has come.
    ///
    /// # Errors
    /// [`GivenUp`]
    pub fn has_body(&self) -> Result<(), GivenUp> {
        self.advance(Step::Served)
    }

    /// There is an answer.
    pub fn answered(&self) {
        let mut now = self.now();
        now.is_unread = now.step == Step::Body;
        now.under_way = None;
        if now.step != Step::Gone {
            now.go(Step::Answer);
        }
        drop(now);
        self.freed.notify_one();
    }

    /// Some of an answer was written.
    pub fn written(&self) {
        self.now().unsent_since.get_or_insert_with(Instant::now);
    }

    /// All that was written has gone out.
    pub fn sent(&self) {
        let mut now = self.now();
        now.unsent_since = None;
        if now.step == Step::Answer {
            now.go(Step::Idle);
        }
    }

    /// The server has said its last. Whether it should read on for a while: to a client that still sends when the connection closes, the
    /// answer may get lost.
    pub fn closing(&self) -> bool {
        let mut now = self.now();
        let is_sending = now.step == Step::Head || now.is_unread;
        if now.step != Step::Gone {
            now.go(Step::Closing);
        }
        is_sending
    }

    fn go_on(&self, is_from: impl Fn(Step) -> bool, to: Step) {
        let mut now = self.now();
        if is_from(now.step) {
            now.go(to);
        }
    }

    fn advance(&self, to: Step) -> Result<(), GivenUp> {
        let mut now = self.now();
        if now.step == Step::Gone {
            return Err(GivenUp);
        }
        now.go(to);
        Ok(())
    }

    /// Since when nobody waits for it.
    fn free_since(&self) -> Option<Instant> {
        let now = self.now();
        (!matches!(now.step, Step::Served | Step::Gone)).then(|| now.since)
    }

    /// Gives its place up, unless somebody waits for it now.
    fn leave(&self) -> bool {
        let mut now = self.now();
        if matches!(now.step, Step::Served | Step::Gone) {
            return false;
        }
        now.go(Step::Gone);
        now.under_way = None;
        drop(now);
        self.gone.notify_one();
        true
    }
}

/// The place of the connection is somebody else's.
#[derive(Debug, thiserror::Error)]
#[error("the connection was given up for another one")]
pub struct GivenUp;
