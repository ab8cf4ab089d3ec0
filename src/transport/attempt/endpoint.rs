use super::{Occasion, Route, provider};
use crate::{
    lifecycle::{DialError, DialPhase, ExitReason},
    policy::{Allowed, CanonicalUrl},
    spec::CheckedEndpoints,
};

/// The endpoint of this attempt, if the policy allows it: what was allowed before may be forbidden
/// by now.
pub(super) async fn choose(route: &Route, occasion: &Occasion) -> Result<Allowed, ExitReason> {
    let url = match &route.asked.endpoints {
        CheckedEndpoints::Listed(listed) => {
            // The rotation was made over this list.
            let allowed = listed.get(occasion.endpoint).or_else(|| listed.first());
            allowed.ok_or_else(|| ExitReason::Cancelled)?.url().clone()
        }
        CheckedEndpoints::Provided(provider) => {
            let request = route.request(occasion, None);
            let asked = provider::ask(DialPhase::Endpoint, &route.settings, async {
                provider.0.endpoint(request).await
            });
            let url = asked.await.map_err(|failure| failure.of(DialError::Endpoint))?;
            CanonicalUrl::parse(&url).map_err(|error| DialError::Endpoint(error.into()))?
        }
    };
    let allowed = route.policy.check_url(&url).map_err(ExitReason::PolicyDenied)?;
    route.dials(&allowed);
    Ok(allowed)
}
