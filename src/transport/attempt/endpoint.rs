use super::{Occasion, Route, provider};
use crate::{
    lifecycle::{DialError, DialPhase, ExitReason},
    policy::{Allowed, CanonicalUrl},
    spec::{CheckedEndpoints, SharedEndpointProvider},
};

/// The endpoint of this attempt, if the policy allows it: what was allowed before may be forbidden
/// by now.
pub(super) async fn choose(route: &Route, occasion: &Occasion) -> Result<Allowed, ExitReason> {
    let allowed = match &*route.asked.endpoints {
        CheckedEndpoints::Listed(listed) => {
            let policy = route.standing.policy();
            let allowed = CheckedEndpoints::first_allowed(listed, occasion.endpoint, &policy);
            allowed.map_err(ExitReason::PolicyDenied)?
        }
        // Boxed because it is large and most connections have none.
        CheckedEndpoints::Provided(provider) => Box::pin(ask(route, occasion, provider)).await?,
    };
    route.standing.dials(&allowed);
    Ok(allowed)
}

async fn ask(
    route: &Route,
    occasion: &Occasion,
    provider: &SharedEndpointProvider,
) -> Result<Allowed, ExitReason> {
    let request = route.request(occasion, None);
    let asked = provider::ask(DialPhase::Endpoint, &route.settings, async {
        provider.0.endpoint(request).await
    });
    let url = asked.await.map_err(|failure| failure.of(DialError::Endpoint))?;
    let url = CanonicalUrl::parse(&url).map_err(|error| DialError::Endpoint(error.into()))?;
    let judged = route.standing.policy().check_connection(&url, None);
    judged.map_err(ExitReason::PolicyDenied)
}
