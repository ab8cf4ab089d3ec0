use super::{Occasion, Route, provider};
use crate::{
    lifecycle::{DialError, DialPhase, ExitReason},
    message::CheckedAuth,
    policy::Allowed,
    protocol::HandshakeError,
    spec::{Headers, SharedCredentialProvider},
};

/// The headers that prove to the server who connects.
pub(super) async fn gather(
    route: &Route,
    occasion: &Occasion,
    allowed: &Allowed,
) -> Result<Headers, DialError> {
    match &route.asked.wishes().auth {
        CheckedAuth::Fixed(headers) => Ok(headers.clone()),
        // Boxed because it is large and most connections have none.
        CheckedAuth::Provided(provider) => Box::pin(ask(route, occasion, allowed, provider)).await,
    }
}

async fn ask(
    route: &Route,
    occasion: &Occasion,
    allowed: &Allowed,
    provider: &SharedCredentialProvider,
) -> Result<Headers, DialError> {
    let request = route.request(occasion, Some(allowed));
    let asked = provider::ask(DialPhase::Credentials, &route.settings, async {
        provider.0.credentials(request).await
    });
    let credentials = asked.await.map_err(|failure| failure.of(DialError::Credentials))?;
    let unsendable = |error| DialError::Credentials(crate::lifecycle::ProviderFailure::from(error));
    let headers = credentials.headers().map_err(unsendable)?;
    // A provider may set more than it announced.
    headers.joined_with(&route.asked.wishes().headers).map_err(unsendable)?;
    Ok(headers)
}

/// What the server's answer to these credentials says of them.
pub(super) fn judge<T>(
    route: &Route,
    credentials: Headers,
    answer: Result<T, ExitReason>,
) -> Result<T, ExitReason> {
    if let CheckedAuth::Fixed(_) = route.asked.wishes().auth {
        return answer;
    }
    let mut refusals = route.memory.refusals.borrow_mut();
    match answer {
        Err(ExitReason::Handshake(
            refusal @ HandshakeError::Status { code: code @ (401 | 403), .. },
        )) => {
            let credential = refusals.refused(code, credentials);
            Err(ExitReason::Unauthorized { credential, refusal })
        }
        Ok(opened) => {
            refusals.forget();
            Ok(opened)
        }
        other => other,
    }
}
