use std::{
    fmt::Write as _,
    str::FromStr,
    time::{SystemTime, UNIX_EPOCH},
};

use rand::{Rng, RngExt as _};

/// A message's text with places that are filled for each message: `{{id}}` and its like. Two braces
/// cannot begin anything in JSON, so that JSON needs no escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Id,
    Connection,
    Sequence,
    Time,
    Random { least: u64, most: u64 },
    Pad(usize),
}

/// Which message a template is filled for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The message's number, unique in the run.
    pub(crate) id: u64,
    /// The connection's number.
    pub(crate) connection: usize,
    /// The message's number on its connection.
    pub(crate) sequence: u64,
}

/// Why a text is not a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidTemplate {
    #[error("a place begins with {{{{ and does not end with }}}}: {0:?}")]
    Open(String),
    #[error(
        "there is no place {{{{{0}}}}}: use {{{{id}}}}, {{{{connection}}}}, {{{{sequence}}}}, {{{{time}}}} \
         (Unix milliseconds), {{{{random:LEAST..MOST}}}} or {{{{pad:BYTES}}}}"
    )]
    Unknown(String),
    #[error("{{{{pad:{0}}}}} is more than 16 MiB")]
    TooLong(usize),
}

const MAX_PAD: usize = 16 * 1024 * 1024;

impl Template {
    pub(crate) fn has_id(&self) -> bool {
        self.0.contains(&Part::Id)
    }

    pub(crate) fn fill(&self, place: Place, rng: &mut impl Rng) -> String {
        let mut text = String::new();
        for part in &self.0 {
            let _infallible = match part {
                Part::Text(plain) => text.write_str(plain),
                Part::Id => write!(text, "{}", place.id),
                Part::Connection => write!(text, "{}", place.connection),
                Part::Sequence => write!(text, "{}", place.sequence),
                Part::Time => write!(text, "{}", unix_millis()),
                Part::Random { least, most } => {
                    write!(text, "{}", rng.random_range(*least..=*most))
                }
                Part::Pad(bytes) => {
                    text.extend(std::iter::repeat_n('x', *bytes));
                    Ok(())
                }
            };
        }
        text
    }
}

impl FromStr for Template {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, InvalidTemplate> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((plain, after)) = rest.split_once("{{") {
            let Some((name, behind)) = after.split_once("}}") else {
                return Err(InvalidTemplate::Open(after.chars().take(40).collect()));
            };
            if !plain.is_empty() {
                parts.push(Part::Text(plain.to_owned()));
            }
            parts.push(part(name.trim())?);
            rest = behind;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }
}

fn part(name: &str) -> Result<Part, InvalidTemplate> {
    let unknown = || InvalidTemplate::Unknown(name.to_owned());
    match name.split_once(':') {
        None => match name {
            "id" => Ok(Part::Id),
            "connection" => Ok(Part::Connection),
            "sequence" => Ok(Part::Sequence),
            "time" => Ok(Part::Time),
            _ => Err(unknown()),
        },
        Some(("random", range)) => {
            let (least, most) = range.split_once("..").ok_or_else(unknown)?;
            let number = |text: &str| text.trim().parse().map_err(|_| unknown());
            let (least, most) = (number(least)?, number(most)?);
            if least > most { Err(unknown()) } else { Ok(Part::Random { least, most }) }
        }
        Some(("pad", bytes)) => match bytes.trim().parse().map_err(|_| unknown())? {
            bytes @ 0..=MAX_PAD => Ok(Part::Pad(bytes)),
            bytes => Err(InvalidTemplate::TooLong(bytes)),
        },
        Some(_) => Err(unknown()),
    }
}

fn unix_millis() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis())
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    const PLACE: Place = Place { id: 42, connection: 7, sequence: 3 };

    fn filled(template: &str) -> String {
        let template: Template = template.parse().unwrap();
        template.fill(PLACE, &mut StdRng::seed_from_u64(1))
    }

    #[test]
    fn fills_places_and_leaves_the_rest() {
        let table = [
            ("", ""),
            ("plain {text}", "plain {text}"),
            ("{{id}}", "42"),
            (r#"{"a":{"id":{{id}}}}"#, r#"{"a":{"id":42}}"#),
            ("{{ connection }}/{{sequence}}", "7/3"),
            ("<{{pad:5}}>", "<xxxxx>"),
            ("{{random:9..9}}", "9"),
        ];
        for (template, expected) in table {
            assert_eq!(filled(template), expected, "{template}");
        }
        assert!(filled("{{time}}").parse::<u64>().unwrap() > 1_700_000_000_000);
    }

    #[test]
    fn tells_what_is_wrong() {
        let table = [
            ("{{id", InvalidTemplate::Open("id".into())),
            ("{{user}}", InvalidTemplate::Unknown("user".into())),
            ("{{random:9..1}}", InvalidTemplate::Unknown("random:9..1".into())),
            ("{{pad:-1}}", InvalidTemplate::Unknown("pad:-1".into())),
            ("{{pad:99999999}}", InvalidTemplate::TooLong(99_999_999)),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse::<Template>(), Err(expected), "{text}");
        }
        let error = "{{user}}".parse::<Template>().unwrap_err().to_string();
        assert!(error.contains("{{user}}") && error.contains("{{id}}"), "{error}");
    }
}
