//! A supervisor's access policy changes.

use std::sync::PoisonError;

use actix::{Context, Handler, ResponseFuture};
use futures_util::future::join_all;

use super::{Supervisor, children::Children, tree::Branch};
use crate::{
    actor::superior::Enforce,
    message::{PolicySet, SetPolicy, SetPolicyError},
    policy::AccessPolicy,
};

impl Handler<SetPolicy> for Supervisor {
    type Result = ResponseFuture<Result<PolicySet, SetPolicyError>>;

    fn handle(&mut self, SetPolicy(policy): SetPolicy, _: &mut Context<Self>) -> Self::Result {
        self.policy = policy.clone();
        // The next incarnation has it too.
        self.children().policy = Some(policy.clone());
        let own = self.children().enforce(&policy);
        let below: Vec<_> =
            self.branches.values().map(|branch| branch.set_policy(policy.clone())).collect();
        Box::pin(async move {
            let below: PolicySet = join_all(below).await.into_iter().sum();
            Ok([own.await, below].into_iter().sum())
        })
    }
}

impl Branch {
    /// It holds for its connections also while it has failed and was not started again yet.
    fn set_policy(&self, policy: AccessPolicy) -> impl Future<Output = PolicySet> + use<> {
        let (address, children) = (self.address.clone(), self.children.clone());
        children.lock().unwrap_or_else(PoisonError::into_inner).policy = Some(policy.clone());
        async move {
            if let Ok(Ok(set)) = address.send(SetPolicy(policy.clone())).await {
                return set;
            }
            let told = {
                let children = children.lock().unwrap_or_else(PoisonError::into_inner);
                children.enforce(&policy)
            };
            told.await
        }
    }
}

impl Children {
    /// Tells all of them. An actor that is gone has nothing to forbid.
    fn enforce(&self, policy: &AccessPolicy) -> impl Future<Output = PolicySet> + use<> {
        let told = self.addresses().map(|address| address.send(Enforce(policy.clone())));
        let told = join_all(told);
        async move {
            let judged = told.await.into_iter().filter_map(Result::ok);
            judged.map(PolicySet::of_one).sum()
        }
    }
}
