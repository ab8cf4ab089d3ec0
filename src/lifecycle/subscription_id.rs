/// Names a subscription, to end it with [`Unsubscribe`](crate::Unsubscribe).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SubscriptionId(u64);

impl SubscriptionId {
    /// The one of this number.
    pub(crate) const fn numbered(number: u64) -> Self {
        Self(number)
    }
}
