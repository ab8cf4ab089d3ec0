//! What was found, for people and for programs.

mod html;
mod json;
mod picture;
mod text;
pub(crate) mod words;

pub(crate) use self::{html::html, json::json, text::text};
