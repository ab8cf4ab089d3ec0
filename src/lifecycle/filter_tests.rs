use proptest::prelude::*;

use super::*;

#[test]
fn compares_top_level_fields() {
    let filter = Filter::field("op", "tick");
    for (text, expected) in [
        (r#"{"op":"tick"}"#, true),
        (r#" {"a":[{"op":1}],"b":{"op":"tock"},"op":"tick"}"#, true),
        (r#"{"o\u0070":"ti\u0063k"}"#, true),
        // Nothing is read behind the field.
        (r#"{"op":"tick", nonsense"#, true),
        (r#"{"op":"tock","op":"tick"}"#, false),
        (r#"{"op":["tick"]}"#, false),
        (r#"{"op":null}"#, false),
        (r#"["op","tick"]"#, false),
        (r#""op""#, false),
        (r#"{"a": nonsense, "op":"tick"}"#, false),
        ("", false),
    ] {
        assert_eq!(filter.matches(Payload::Text(text)), expected, "{text}");
        assert_eq!(filter.matches(Payload::Binary(text.as_bytes())), expected, "{text}");
    }
    assert!(!filter.matches(Payload::Binary(b"{\"op\":\"\xFF\"}")));
}

#[test]
fn knows_the_scalars() {
    let text = r#"{"n":null,"t":true,"i":-3,"u":18446744073709551615,"f":1.5,"s":""}"#;
    let has =
        |name: &str, value: FieldValue| Filter::field(name, value).matches(Payload::Text(text));
    assert!(has("n", ().into()) && has("t", true.into()) && has("i", (-3).into()));
    assert!(has("u", u64::MAX.into()) && has("s", "".into()));
    assert!(!has("f", 1.into()) && !has("t", false.into()) && !has("x", ().into()));
}

#[test]
fn finds_integers() {
    let of = |text| Filter::integer(Payload::Text(text), "s");
    assert_eq!(of(r#"{"op":0,"s":42,"d":{"s":7}}"#), Some(42));
    assert_eq!(of(r#"{"s":-1}"#), Some(-1));
    for none in [r#"{"s":null}"#, r#"{"s":"42"}"#, r#"{"s":18446744073709551615}"#, "{}", "s"] {
        assert_eq!(of(none), None, "{none}");
    }
}

fn restricted(mut filter: Filter, text: bool) -> Filter {
    filter.restrict_to_text(text);
    filter
}

#[test]
fn tells_text_from_binary() {
    for (filter, text, binary) in [
        (Filter::text(), true, false),
        (Filter::binary(), false, true),
        (Filter::any(), true, true),
        (restricted(Filter::any(), true), true, false),
        (restricted(Filter::text(), false), false, true),
        (Filter::by(|message| message.as_text() == Some("x")), true, false),
    ] {
        assert_eq!(filter.matches(Payload::Text("x")), text, "{filter:?}");
        assert_eq!(filter.matches(Payload::Binary(b"x")), binary, "{filter:?}");
    }
}

#[test]
fn knows_whether_it_asks_for_anything() {
    let asks = [Filter::text(), Filter::field("op", 1), Filter::by(|_| true)];
    assert!(Filter::any().is_any() && !asks.iter().any(Filter::is_any));
    let shown = format!("{:?}", Filter::text().and_field("op", "tick"));
    assert!(shown.contains("Some(Text)") && shown.contains("tick"), "{shown}");
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        "[a-c\"\\\\é]{0,3}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::hash_map("[a-c]", inner, 0..4)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    /// Against the tree that it does not build.
    #[test]
    fn agrees_with_the_whole_object(value in json(), name in "[a-c]", number: i64, text in "[a-c\"é]{0,2}") {
        let message = value.to_string();
        let of = |wanted: &serde_json::Value| value.get(&name) == Some(wanted);
        let has = |wanted: FieldValue| Filter::field(name.clone(), wanted).matches(Payload::Text(&message));
        prop_assert_eq!(has(number.into()), of(&number.into()));
        prop_assert_eq!(has(text.as_str().into()), of(&text.into()));
        prop_assert_eq!(has(().into()), of(&serde_json::Value::Null));
        prop_assert_eq!(has(true.into()), of(&true.into()));
    }
}
