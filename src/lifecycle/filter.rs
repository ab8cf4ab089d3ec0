use std::{borrow::Cow, fmt, sync::Arc};

use serde::{
    Deserializer as _,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor},
};

use crate::protocol::Payload;

/// Which messages are meant.
///
/// All that is asked of a message must hold. A field is looked for at the top level of a JSON object,
/// without building the object: what is not looked for is skipped, and what follows the field is not
/// even read.
///
/// ```
/// use wsvisor::{Filter, Payload};
///
/// let trades = Filter::field("channel", "trades").and_field("live", true);
/// assert!(trades.matches(Payload::Text(r#"{"id": 7, "channel": "trades", "live": true}"#)));
/// assert!(!trades.matches(Payload::Text(r#"{"data": {"channel": "trades"}}"#)));
/// assert!(!trades.matches(Payload::Text("trades")));
///
/// let acknowledged = Filter::field("op", 11);
/// let large = Filter::by(|message| message.as_text().is_some_and(|text| text.len() > 1_000));
/// # assert!(acknowledged.matches(Payload::Text(r#"{"op":11}"#)));
/// # assert!(!large.matches(Payload::Text("")));
/// ```
#[derive(Clone, Default)]
pub struct Filter {
    type_of: Option<MessageType>,
    fields: Vec<(Box<str>, FieldValue)>,
    test: Option<Test>,
}

type Test = Arc<dyn Fn(Payload<'_>) -> bool + Send + Sync>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MessageType {
    Text,
    Binary,
}

/// What a JSON field is compared with. Made of a string, an integer, a boolean, or `()` for `null`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldValue(Scalar<'static>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Scalar<'a> {
    Null,
    Bool(bool),
    Integer(i128),
    Text(Cow<'a, str>),
    /// A list, an object, or a number with a fraction: equal to nothing.
    Other,
}

impl Filter {
    /// Every message.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Text messages.
    #[must_use]
    pub fn text() -> Self {
        Self { type_of: Some(MessageType::Text), ..Self::default() }
    }

    /// Binary messages.
    #[must_use]
    pub fn binary() -> Self {
        Self { type_of: Some(MessageType::Binary), ..Self::default() }
    }

    /// JSON objects in which the top-level field `name` has this value.
    pub fn field(name: impl Into<Box<str>>, value: impl Into<FieldValue>) -> Self {
        Self::any().and_field(name, value)
    }

    /// Messages for which `test` says yes. It runs on the connection's thread: it must be quick, and
    /// its panic ends the session as a crash.
    pub fn by(test: impl Fn(Payload<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self { test: Some(Arc::new(test)), ..Self::default() }
    }

    /// And in which this field has this value.
    #[must_use]
    pub fn and_field(mut self, name: impl Into<Box<str>>, value: impl Into<FieldValue>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// Whether it means this message.
    #[must_use]
    pub fn matches(&self, message: Payload<'_>) -> bool {
        let is_of_type = match (self.type_of, message) {
            (None, _)
            | (Some(MessageType::Text), Payload::Text(_))
            | (Some(MessageType::Binary), Payload::Binary(_)) => true,
            (Some(_), _) => false,
        };
        is_of_type
            && self.fields.iter().all(|(name, value)| has_field(message, name, &value.0))
            && self.test.as_ref().is_none_or(|test| test(message))
    }

    /// The integer in this top-level field of a JSON object.
    pub(super) fn integer(message: Payload<'_>, name: &str) -> Option<i64> {
        let mut found = None;
        look(message, name, |value| {
            if let Scalar::Integer(number) = value {
                found = i64::try_from(number).ok();
            }
        });
        found
    }

    /// Only messages of this type from now on.
    pub(crate) fn restrict_to_text(&mut self, text: bool) {
        self.type_of = Some(if text { MessageType::Text } else { MessageType::Binary });
    }

    pub(crate) fn is_any(&self) -> bool {
        self.type_of.is_none() && self.fields.is_empty() && self.test.is_none()
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter")
            .field("type_of", &self.type_of)
            .field("fields", &self.fields)
            .field("test", &self.test.is_some())
            .finish()
    }
}

impl From<&str> for FieldValue {
    fn from(text: &str) -> Self {
        Self(Scalar::Text(Cow::Owned(text.to_owned())))
    }
}

impl From<String> for FieldValue {
    fn from(text: String) -> Self {
        Self(Scalar::Text(Cow::Owned(text)))
    }
}

impl From<i64> for FieldValue {
    fn from(number: i64) -> Self {
        Self(Scalar::Integer(number.into()))
    }
}

impl From<i32> for FieldValue {
    fn from(number: i32) -> Self {
        Self(Scalar::Integer(number.into()))
    }
}

impl From<u64> for FieldValue {
    fn from(number: u64) -> Self {
        Self(Scalar::Integer(number.into()))
    }
}

impl From<bool> for FieldValue {
    fn from(truth: bool) -> Self {
        Self(Scalar::Bool(truth))
    }
}

impl From<()> for FieldValue {
    fn from((): ()) -> Self {
        Self(Scalar::Null)
    }
}

fn has_field(message: Payload<'_>, name: &str, value: &Scalar<'_>) -> bool {
    let mut is_it = false;
    look(message, name, |found| is_it = found == *value);
    is_it
}

/// Shows a top-level field of a JSON object, if there is one.
fn look(message: Payload<'_>, name: &str, found: impl FnMut(Scalar<'_>)) {
    // It ends early on purpose.
    let _ = serde_json::Deserializer::from_slice(message.as_bytes())
        .deserialize_any(Look { name, found });
}

/// Looks for a field, and ends with an error once it was seen.
struct Look<'a, F> {
    name: &'a str,
    found: F,
}

impl<'de, F: FnMut(Scalar<'_>)> Visitor<'de> for Look<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(is_it) = map.next_key_seed(Is(self.name))? {
            if is_it {
                (self.found)(map.next_value_seed(ScalarSeed)?);
                return Err(A::Error::custom("seen"));
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

/// Whether a key is this one.
struct Is<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'de>>(self, key: D) -> Result<bool, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

struct ScalarSeed;

impl<'de> DeserializeSeed<'de> for ScalarSeed {
    type Value = Scalar<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(self, value: D) -> Result<Scalar<'de>, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ScalarSeed {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Integer(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Integer(number.into()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Other)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Scalar<'de>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
