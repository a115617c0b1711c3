//! Why a refresh token is refused.

/// Why a refresh token is refused although nobody is suspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshRefusal {
    /// `refresh_token_not_found`: its tag is wrong, or its session is no more.
    NotFound,
    /// `user_deleted`.
    UserDeleted,
    /// `user_banned`.
    UserBanned,
    /// `session_expired`: it has reached its end.
    Expired,
    /// `session_idle`: nobody refreshed it for too long.
    Idle,
    /// `session_superseded`: the person signed in elsewhere.
    Superseded,
    /// `session_exhausted`: the counter has reached the end of its column, which only a hand can bring about.
    Exhausted,
}
