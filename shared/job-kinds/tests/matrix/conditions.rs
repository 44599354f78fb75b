//! Conditions, as a person writes them and as DynamoDB takes them.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

#[derive(Debug, Clone)]
pub(crate) struct ConditionCase {
    pub(crate) ours: String,
    pub(crate) raw: String,
    pub(crate) names: HashMap<String, String>,
    pub(crate) values: HashMap<String, AttributeValue>,
}

/// Builds both forms of an expression from one text: in `{}` stand names, in `[]` numbers of values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Forms {
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Forms {
    /// Both forms of `text`, where `{name}` is a name and `<n>` the value of that number: what we write for it, and
    /// what it is.
    pub(crate) fn both(mut self, text: &str, values: &[(&str, AttributeValue)]) -> (String, ConditionCase) {
        let (mut ours, mut raw) = (String::new(), String::new());
        let mut rest = text;
        while let Some(at) = rest.find(['{', '<']) {
            let (before, marked) = rest.split_at(at);
            ours.push_str(before);
            raw.push_str(before);
            let name = marked.starts_with('{').then(|| marked.find('}')).flatten();
            let value = marked.get(2..3).filter(|end| marked.starts_with('<') && *end == ">");
            if let Some(end) = name {
                let name = &marked[1..end];
                let simple = name.chars().all(|c| c.is_ascii_alphanumeric()) && name != "size";
                ours.push_str(&if simple { name.to_owned() } else { format!("`{name}`") });
                let placeholder = format!("#n{}", self.names.len());
                raw.push_str(&placeholder);
                self.names.insert(placeholder, name.to_owned());
                rest = &marked[end + 1..];
            } else if value.is_some() {
                let (written, value) = &values[marked[1..2].parse::<usize>().unwrap()];
                ours.push_str(written);
                let placeholder = format!(":v{}", self.values.len());
                raw.push_str(&placeholder);
                self.values.insert(placeholder, value.clone());
                rest = &marked[3..];
            } else {
                ours.push_str(&marked[..1]);
                raw.push_str(&marked[..1]);
                rest = &marked[1..];
            }
        }
        ours.push_str(rest);
        raw.push_str(rest);
        let case = ConditionCase { ours: ours.clone(), raw, names: self.names, values: self.values };
        (ours, case)
    }
}

pub(crate) fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

pub(crate) fn number(number: &str) -> AttributeValue {
    AttributeValue::N(number.to_owned())
}

pub(crate) fn all() -> Vec<ConditionCase> {
    let mut all = Vec::new();
    let mut add = |text: &str, values: &[(&str, AttributeValue)]| {
        all.push(Forms::default().both(text, values).1);
    };
    let scalars = [
        ("'xy'", text("xy")),
        ("\"x\"", text("x")),
        ("''", text("")),
        ("2.5", number("2.5")),
        ("-3", number("-3")),
        ("1e2", number("100")),
        ("b64'eA=='", AttributeValue::B(Blob::new("x"))),
        ("true", AttributeValue::Bool(true)),
        ("null", AttributeValue::Null(true)),
    ];
    for scalar in &scalars {
        for sign in ["=", "<>"] {
            add(&format!("{{v}} {sign} <0>"), std::slice::from_ref(scalar));
        }
    }
    for scalar in &scalars[..7] {
        for sign in ["<", "<=", ">", ">="] {
            add(&format!("{{v}} {sign} <0>"), std::slice::from_ref(scalar));
        }
    }
    let (one, three) = (("1", number("1")), ("3", number("3")));
    for (low, high) in [
        (("1", number("1")), ("50", number("50"))),
        (("'x'", text("x")), ("'xyz'", text("xyz"))),
        (("-5", number("-5")), ("2", number("2"))),
    ] {
        add("{v} BETWEEN <0> AND <1>", &[low.clone(), high.clone()]);
        add("NOT ({v} BETWEEN <0> AND <1>)", &[low, high]);
    }
    add("{size} BETWEEN <0> AND <1>", &[one.clone(), three.clone()]);
    add("{v} IN (<0>, <1>, <2>)", &[scalars[0].clone(), scalars[3].clone(), scalars[8].clone()]);
    add("{size} IN (<0>)", std::slice::from_ref(&three));
    add("NOT {size} IN (<0>, <1>)", &[one.clone(), three.clone()]);
    for prefix in [("'x'", text("x")), ("''", text("")), ("b64'eA=='", AttributeValue::B(Blob::new("x")))] {
        add("begins_with({v}, <0>)", &[prefix]);
    }
    add("begins_with({address}.{city}, <0>)", &[("'Os'", text("Os"))]);
    for part in [("'y'", text("y")), ("'red'", text("red")), ("b64'eQ=='", AttributeValue::B(Blob::new("y")))]
    {
        for path in ["{v}", "{tags}", "{lines}"] {
            add(&format!("contains({path}, <0>)"), std::slice::from_ref(&part));
        }
    }
    add("contains({prices}, <0>)", &[("2.5", number("2.5"))]);
    for path in [
        "{v}",
        "{address}",
        "{address}.{city}",
        "{address}.{zip code}",
        "{address}.{a.b}",
        "{lines}[1]",
        "{lines}[2].{price}",
        "{none}",
    ] {
        add(&format!("attribute_exists({path})"), &[]);
        add(&format!("attribute_not_exists({path})"), &[]);
    }
    for kind in ["S", "N", "B", "BOOL", "NULL"] {
        add("attribute_type({v}, <0>)", &[(&format!("'{kind}'"), text(kind))]);
    }
    for (path, kind) in [("{tags}", "SS"), ("{prices}", "NS"), ("{lines}", "L"), ("{address}", "M")] {
        add(&format!("attribute_type({path}, <0>)"), &[(&format!("'{kind}'"), text(kind))]);
    }
    for path in ["{v}", "{tags}", "{lines}", "{address}"] {
        for sign in ["=", "<", ">="] {
            add(&format!("size({path}) {sign} <0>"), &[("2", number("2"))]);
        }
    }
    add(
        "{tags} = <0>",
        &[("<<'blue', 'new'>>", AttributeValue::Ss(vec!["new".to_owned(), "blue".to_owned()]))],
    );
    add("{lines} = <0>", &[("['x']", AttributeValue::L(vec![text("x")]))]);
    add("{address}.{zip code} > <0>", &[("20", number("20"))]);
    add("{lines}[1] >= <0>", &[("20", number("20"))]);
    add("{size} < {n}", &[]);
    add("{address}.{zip code} = {n}", &[]);
    add("{size} = <0> AND {pk} = <1>", &[three.clone(), ("'a'", text("a"))]);
    add("{size} = <0> OR {pk} = <1>", &[three.clone(), ("'a'", text("a"))]);
    add("{size} = <0> OR {pk} = <1> AND {n} > <2>", &[three.clone(), ("'a'", text("a")), ("9", number("9"))]);
    add("({size} = <0> OR {pk} = <1>) AND {n} > <2>", &[three, ("'a'", text("a")), ("9", number("9"))]);
    add("NOT ({size} = <0> AND {n} > <1>)", &[one, ("9", number("9"))]);
    add("NOT {size} = <0>", &[("1", number("1"))]);
    add("NOT attribute_exists({v}) AND attribute_exists({tags})", &[]);
    all
}
