use serde::{Deserialize, Serialize};

/// Who comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum Client {
    Wsvisor,
    EzSockets,
}

impl Client {
    pub(crate) const ALL: [Self; 2] = [Self::Wsvisor, Self::EzSockets];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Wsvisor => "wsvisor",
            Self::EzSockets => "ezsockets 0.7",
        }
    }
}
