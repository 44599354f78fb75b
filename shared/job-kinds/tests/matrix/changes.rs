//! Changes, as a person writes them and as DynamoDB takes them.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::conditions::{ConditionCase, Forms, number, text};

pub(crate) type ChangeCase = ConditionCase;

pub(crate) fn all() -> Vec<ChangeCase> {
    let mut all = Vec::new();
    let mut add = |expression: &str, values: &[(&str, AttributeValue)]| {
        all.push(Forms::default().both(expression, values).1);
    };
    let one = ("1", number("1"));
    let list = ("['a', 2]", AttributeValue::L(vec![text("a"), number("2")]));
    let map = ("{k: 1}", AttributeValue::M([("k".to_owned(), number("1"))].into()));
    let set = ("<<'b', 'c'>>", AttributeValue::Ss(vec!["b".to_owned(), "c".to_owned()]));
    let values = [
        ("'new'", text("new")),
        ("''", text("")),
        ("5", number("5")),
        ("-1.50", number("-1.50")),
        ("1e20", number("1e20")),
        ("true", AttributeValue::Bool(true)),
        ("null", AttributeValue::Null(true)),
        ("b64'eA=='", AttributeValue::B(Blob::new("x"))),
        list.clone(),
        map.clone(),
        set.clone(),
    ];
    for value in &values {
        add("SET {text} = <0>", std::slice::from_ref(value));
    }
    for path in [
        "{fresh}",
        "{size}",
        "{a.b}",
        "{two words}",
        "{m}.{x}",
        "{m}.{new key}",
        "{m}.{deep}.{y}",
        "{m}.{deep}.{z}",
        "{m}.{none}.{z}",
        "{l}[0]",
        "{l}[1]",
        "{l}[9]",
        "{none}[0]",
        "{text}.{x}",
    ] {
        add(&format!("SET {path} = <0>"), &[("'new'", text("new"))]);
    }
    for path in
        ["{text}", "{m}.{x}", "{m}.{deep}.{y}", "{l}[0]", "{l}[9]", "{none}", "{a.b}", "{m}.{none}.{z}"]
    {
        add(&format!("REMOVE {path}"), &[]);
    }
    add("REMOVE {l}[0], {l}[2], {text}", &[]);
    add("SET {copy} = {text}", &[]);
    add("SET {copy} = {m}.{x}", &[]);
    add("SET {text} = {l}[1], {l}[1] = {text}", &[]);
    add("SET {text} = if_not_exists({text}, <0>)", std::slice::from_ref(&values[0]));
    add("SET {fresh} = if_not_exists({fresh}, <0>)", std::slice::from_ref(&one));
    add("SET {m}.{w} = if_not_exists({m}.{w}, <0>)", std::slice::from_ref(&one));
    add("SET {l} = list_append({l}, <0>)", std::slice::from_ref(&list));
    add("SET {l} = list_append(<0>, {l})", std::slice::from_ref(&list));
    add(
        "SET {l} = list_append(if_not_exists({l}, <0>), <1>)",
        &[("[]", AttributeValue::L(Vec::new())), list.clone()],
    );
    add("SET {count} = {count} + <0>", std::slice::from_ref(&one));
    add("SET {count} = {count} - <0>", &[("0.5", number("0.5"))]);
    add("SET {count} = if_not_exists({count}, <0>) + <1>", &[("0", number("0")), one.clone()]);
    add("SET {total} = {n} + {n}", &[]);
    add("SET {m}.{deep}.{y} = {m}.{deep}.{y} + <0>", std::slice::from_ref(&one));
    add("ADD {count} <0>", &[("2.25", number("2.25"))]);
    add("ADD {fresh} <0>", &[("-3", number("-3"))]);
    add("ADD {tags} <0>", std::slice::from_ref(&set));
    add("ADD {primes} <0>", &[("<<5, 2>>", AttributeValue::Ns(vec!["5".to_owned(), "2".to_owned()]))]);
    add("ADD {m}.{hits} <0>", std::slice::from_ref(&one));
    add("DELETE {tags} <0>", std::slice::from_ref(&set));
    add("DELETE {tags} <0>", &[("<<'a'>>", AttributeValue::Ss(vec!["a".to_owned()]))]);
    add("DELETE {primes} <0>", &[("<<3, 7>>", AttributeValue::Ns(vec!["3".to_owned(), "7".to_owned()]))]);
    add(
        "SET {text} = <0> REMOVE {count} ADD {visits} <1> DELETE {tags} <2>",
        &[values[0].clone(), one.clone(), set],
    );
    add("SET {m} = <0>, {l} = <1>", &[map, list]);
    add("SET {m}.{x} = {text}, {text} = {m}.{x}", &[]);
    all
}
