use super::Route;
use crate::{
    lifecycle::ExitReason,
    policy::{Allowed, Redirect},
};

/// Where an attempt is: at its endpoint, or where that has sent it.
pub(super) struct Hop {
    pub(super) allowed: Allowed,
    /// Redirects that led here.
    followed: u8,
    /// All of them stayed within the endpoint's origin: what is for that server is for this one.
    pub(super) is_trusted: bool,
}

/// An answer that sends elsewhere.
pub(super) struct Elsewhere {
    pub(super) status: u16,
    pub(super) locations: Vec<Vec<u8>>,
}

impl Hop {
    pub(super) const fn first(endpoint: Allowed) -> Self {
        Self { allowed: endpoint, followed: 0, is_trusted: true }
    }

    /// The next one, if redirects are followed so far and the policy allows it.
    pub(super) fn next(self, route: &Route, answer: &Elsewhere) -> Result<Self, ExitReason> {
        let locations: Vec<_> = answer.locations.iter().map(Vec::as_slice).collect();
        let (from, limit) = (self.allowed.url(), route.asked.wishes().redirects);
        let judged = route.standing.policy().check_redirect(from, &locations, self.followed, limit);
        let Redirect { to, same_origin } =
            judged.map_err(|refused| ExitReason::Redirect { status: answer.status, refused })?;
        tracing::debug!(connection = %route.id, status = answer.status, to = %to.url(), "redirected");
        route.standing.goes_on_to(&to);
        Ok(Self {
            allowed: to,
            followed: self.followed.saturating_add(1),
            is_trusted: self.is_trusted && same_origin,
        })
    }
}
