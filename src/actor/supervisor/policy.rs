//! A supervisor's access policy changes.

use actix::{Context, Handler, ResponseFuture};
use futures_util::future::join_all;

use super::{
    Supervisor,
    subordinate::Subordinate::{self, Connection},
};
use crate::{
    actor::superior::Enforce,
    message::{PolicySet, SetPolicy, SetPolicyError},
    policy::AccessPolicy,
};

impl Handler<SetPolicy> for Supervisor {
    type Result = ResponseFuture<Result<PolicySet, SetPolicyError>>;

    fn handle(&mut self, SetPolicy(policy): SetPolicy, _: &mut Context<Self>) -> Self::Result {
        self.policy = policy.clone();
        let told = self.children.all().map(|child| child.enforce(policy.clone()));
        let told = join_all(told);
        Box::pin(async move { Ok(told.await.into_iter().sum()) })
    }
}

impl Subordinate {
    /// An actor that is gone has nothing to forbid.
    fn enforce(&self, policy: AccessPolicy) -> impl Future<Output = PolicySet> + use<> {
        let child = self.clone();
        async move {
            match child {
                Connection(address) => {
                    let Some(address) = address.upgrade() else { return PolicySet::default() };
                    let judged = address.send(Enforce(policy)).await;
                    judged.map(PolicySet::of_one).unwrap_or_default()
                }
                Self::Supervisor(address) => address
                    .send(SetPolicy(policy))
                    .await
                    .ok()
                    .and_then(Result::ok)
                    .unwrap_or_default(),
            }
        }
    }
}
