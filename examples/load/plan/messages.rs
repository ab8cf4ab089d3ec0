use bytes::Bytes;
use bytestring::ByteString;
use rand::Rng;

use super::{
    InvalidTemplate,
    template::{Place, Template},
};

/// What is sent.
#[derive(Clone, Debug)]
pub(crate) struct Messages {
    source: Source,
    /// As binary messages; else as text.
    binary: bool,
}

#[derive(Clone, Debug)]
enum Source {
    /// The same text each time.
    Same(ByteString),
    /// One template after the other.
    Filled(Vec<Template>),
}

/// A message that is ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Text(ByteString),
    Binary(Bytes),
}

/// Why there is nothing to send.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidMessages {
    #[error("the template is wrong: {0}")]
    Template(#[from] InvalidTemplate),
    #[error("line {line} of the messages is wrong: {source}")]
    Line { line: usize, source: InvalidTemplate },
    #[error("line {line} of the messages is not JSON: {reason}; give one JSON value a line")]
    NotJson { line: usize, reason: String },
    #[error("the file of messages holds none: give one JSON value a line")]
    Empty,
    #[error("a message of {0} bytes is more than 16 MiB")]
    TooLong(usize),
}

const MAX_SIZE: usize = 16 * 1024 * 1024;
/// Any will do to see whether a filled line is JSON.
const EXAMPLE: Place = Place { id: 0, connection: 0, sequence: 0 };

impl Messages {
    /// Messages of this many bytes.
    pub(crate) fn of_size(bytes: usize) -> Result<Self, InvalidMessages> {
        if bytes > MAX_SIZE {
            return Err(InvalidMessages::TooLong(bytes));
        }
        Ok(Self { source: Source::Same("x".repeat(bytes).into()), binary: false })
    }

    pub(crate) fn from_template(text: &str) -> Result<Self, InvalidMessages> {
        Ok(Self { source: Source::Filled(vec![text.parse()?]), binary: false })
    }

    /// One JSON value a line, with places if wanted. Blank lines are skipped.
    pub(crate) fn from_json_lines(text: &str) -> Result<Self, InvalidMessages> {
        let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
        let templates = lines.map(|(line, text)| json_line(line, text));
        let templates: Vec<_> = templates.collect::<Result<_, _>>()?;
        if templates.is_empty() {
            return Err(InvalidMessages::Empty);
        }
        Ok(Self { source: Source::Filled(templates), binary: false })
    }

    pub(crate) const fn binary(mut self, binary: bool) -> Self {
        self.binary = binary;
        self
    }

    /// Whether an answer could name the message that it is for.
    pub(crate) fn have_ids(&self) -> bool {
        match &self.source {
            Source::Same(_) => false,
            Source::Filled(templates) => templates.iter().all(Template::has_id),
        }
    }

    pub(crate) fn message(&self, place: Place, rng: &mut impl Rng) -> Message {
        let text = match &self.source {
            Source::Same(text) => text.clone(),
            Source::Filled(templates) => {
                let turn = usize::try_from(place.id).unwrap_or(0) % templates.len().max(1);
                templates
                    .get(turn)
                    .map(|template| template.fill(place, rng))
                    .unwrap_or_default()
                    .into()
            }
        };
        if self.binary { Message::Binary(text.into_bytes()) } else { Message::Text(text) }
    }

    /// In words.
    pub(crate) fn describe(&self) -> String {
        let kind = if self.binary { "binary" } else { "text" };
        match &self.source {
            Source::Same(text) => format!("{kind}, {} bytes", text.len()),
            Source::Filled(templates) => match templates.len() {
                1 => format!("{kind}, from a template"),
                lines => format!("{kind}, {lines} lines in turn"),
            },
        }
    }
}

impl Message {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}

fn json_line(line: usize, text: &str) -> Result<Template, InvalidMessages> {
    let wrong = |source| InvalidMessages::Line { line, source };
    let template: Template = text.trim().parse().map_err(wrong)?;
    let filled = template.fill(EXAMPLE, &mut rand::rng());
    match serde_json::from_str::<serde::de::IgnoredAny>(&filled) {
        Ok(_) => Ok(template),
        Err(error) => Err(InvalidMessages::NotJson { line, reason: error.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(messages: &Messages) -> Vec<Message> {
        let place = |id| Place { id, connection: 0, sequence: 0 };
        (0..3).map(|id| messages.message(place(id), &mut rand::rng())).collect()
    }

    #[test]
    fn lines_take_turns_and_are_filled() {
        let messages = Messages::from_json_lines("{\"id\":{{id}}}\n\n  \"b\"\n").unwrap();
        let expected = [r#"{"id":0}"#, r#""b""#, r#"{"id":2}"#].map(|it| Message::Text(it.into()));
        assert_eq!(texts(&messages), expected);
        assert!(!messages.have_ids(), "the second line has none");
    }

    #[test]
    fn sizes_are_bytes() {
        let messages = Messages::of_size(5).unwrap().binary(true);
        assert_eq!(texts(&messages)[0], Message::Binary("xxxxx".into()));
        assert_eq!(Messages::of_size(0).unwrap().message(EXAMPLE, &mut rand::rng()).len(), 0);
        assert!(matches!(Messages::of_size(MAX_SIZE + 1), Err(InvalidMessages::TooLong(_))));
    }

    #[test]
    fn a_wrong_line_is_named() {
        let error = Messages::from_json_lines("{}\nno\n").unwrap_err();
        assert!(matches!(error, InvalidMessages::NotJson { line: 2, .. }), "{error}");
        let error = Messages::from_json_lines("{{who}}").unwrap_err();
        assert!(matches!(error, InvalidMessages::Line { line: 1, .. }), "{error}");
        assert_eq!(Messages::from_json_lines("\n").unwrap_err(), InvalidMessages::Empty);
    }
}
