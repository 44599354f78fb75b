//! Conditions: which items.

use serde::Deserialize;

use super::SyntaxError;
use super::constant::Constant;
use super::parser::Parser;
use super::path::Path;
use super::placeholders::Placeholders;
use super::token::TokenKind;

/// The maximum number of values in one `IN`.
const MOST_CHOICES: usize = 100;
/// The types that `attribute_type` knows.
const TYPES: [&str; 10] = ["S", "SS", "N", "NS", "B", "BS", "BOOL", "NULL", "L", "M"];
const FUNCTIONS: &str =
    "attribute_exists, attribute_not_exists, attribute_type, begins_with, contains, size and now";

/// A condition on an item.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "String")]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(into = "String", title = "Condition", example = "status = 'old' AND size(tags) > 2", extend("format" = "condition"))
)]
pub struct Condition(pub(super) Node);

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Compare(Operand, Comparator, Operand),
    Between(Operand, Operand, Operand),
    In(Operand, Vec<Operand>),
    Exists(Path),
    NotExists(Path),
    HasType(Path, String),
    BeginsWith(Path, Operand),
    Contains(Path, Operand),
    Not(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparator {
    const ALL: [(&'static str, Self); 6] = [
        ("=", Self::Equal),
        ("<>", Self::NotEqual),
        ("<=", Self::LessOrEqual),
        ("<", Self::Less),
        (">=", Self::GreaterOrEqual),
        (">", Self::Greater),
    ];

    /// With its sides exchanged.
    pub(super) fn turned(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            same => same,
        }
    }

    fn sign(self) -> &'static str {
        Self::ALL.iter().find(|(_, comparator)| *comparator == self).map_or("=", |(sign, _)| sign)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    Path(Path),
    Size(Path),
    Constant(Constant),
}

impl TryFrom<String> for Condition {
    type Error = SyntaxError;

    fn try_from(text: String) -> Result<Self, SyntaxError> {
        Self::parse(&text)
    }
}

impl Condition {
    /// Reads a condition.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let mut parser = Parser::new(text)?;
        let node = or(&mut parser)?;
        parser.expect_end()?;
        Ok(Self(node))
    }

    /// That the item has this attribute.
    #[must_use]
    pub fn exists(attribute: &str) -> Self {
        Self(Node::Exists(Path::attribute(attribute)))
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let mut all = Vec::new();
        for node in [self.0, other.0] {
            match node {
                Node::And(nodes) => all.extend(nodes),
                node => all.push(node),
            }
        }
        Self(Node::And(all))
    }

    /// As DynamoDB's expression.
    pub fn write(&self, placeholders: &mut Placeholders) -> String {
        self.0.write(placeholders)
    }

    /// The paths that it reads.
    #[must_use]
    pub fn paths(&self) -> Vec<&Path> {
        let mut paths = Vec::new();
        self.0.collect(&mut paths);
        paths
    }
}

impl Node {
    fn write(&self, to: &mut Placeholders) -> String {
        match self {
            Self::Compare(left, comparator, right) => {
                format!("{} {} {}", left.write(to), comparator.sign(), right.write(to))
            }
            Self::Between(operand, low, high) => {
                format!("{} BETWEEN {} AND {}", operand.write(to), low.write(to), high.write(to))
            }
            Self::In(operand, choices) => {
                let operand = operand.write(to);
                let choices: Vec<String> = choices.iter().map(|choice| choice.write(to)).collect();
                format!("{operand} IN ({})", choices.join(", "))
            }
            Self::Exists(path) => format!("attribute_exists({})", to.path(path)),
            Self::NotExists(path) => format!("attribute_not_exists({})", to.path(path)),
            Self::HasType(path, name) => {
                let path = to.path(path);
                format!("attribute_type({path}, {})", to.value(nextbasket_dynamodb::item::text(name)))
            }
            Self::BeginsWith(path, operand) => {
                format!("begins_with({}, {})", to.path(path), operand.write(to))
            }
            Self::Contains(path, operand) => format!("contains({}, {})", to.path(path), operand.write(to)),
            Self::Not(inner) => {
                format!("NOT {}", inner.write_in(to, |node| matches!(node, Self::And(_) | Self::Or(_))))
            }
            Self::And(nodes) => {
                let written: Vec<String> =
                    nodes.iter().map(|node| node.write_in(to, |node| matches!(node, Self::Or(_)))).collect();
                written.join(" AND ")
            }
            Self::Or(nodes) => {
                let written: Vec<String> = nodes.iter().map(|node| node.write(to)).collect();
                written.join(" OR ")
            }
        }
    }

    /// In parentheses if it needs them: DynamoDB refuses those that say nothing.
    fn write_in(&self, to: &mut Placeholders, needs: impl Fn(&Self) -> bool) -> String {
        let text = self.write(to);
        if needs(self) { format!("({text})") } else { text }
    }

    pub(super) fn collect<'a>(&'a self, paths: &mut Vec<&'a Path>) {
        match self {
            Self::Compare(left, _, right) => paths.extend(left.path().into_iter().chain(right.path())),
            Self::Between(operand, low, high) => {
                paths.extend([operand, low, high].into_iter().filter_map(Operand::path));
            }
            Self::In(operand, choices) => {
                paths.extend(std::iter::once(operand).chain(choices).filter_map(Operand::path));
            }
            Self::Exists(path) | Self::NotExists(path) | Self::HasType(path, _) => paths.push(path),
            Self::BeginsWith(path, operand) | Self::Contains(path, operand) => {
                paths.push(path);
                paths.extend(operand.path());
            }
            Self::Not(inner) => inner.collect(paths),
            Self::And(nodes) | Self::Or(nodes) => nodes.iter().for_each(|node| node.collect(paths)),
        }
    }
}

impl Operand {
    fn write(&self, to: &mut Placeholders) -> String {
        match self {
            Self::Path(path) => to.path(path),
            Self::Size(path) => format!("size({})", to.path(path)),
            Self::Constant(constant) => to.constant(constant),
        }
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Self::Path(path) | Self::Size(path) => Some(path),
            Self::Constant(_) => None,
        }
    }
}

fn or(parser: &mut Parser) -> Result<Node, SyntaxError> {
    let mut nodes = vec![and(parser)?];
    while parser.eat_word("or") {
        nodes.push(and(parser)?);
    }
    Ok(alone(nodes).unwrap_or_else(Node::Or))
}

fn and(parser: &mut Parser) -> Result<Node, SyntaxError> {
    let mut nodes = vec![not(parser)?];
    while parser.eat_word("and") {
        nodes.push(not(parser)?);
    }
    Ok(alone(nodes).unwrap_or_else(Node::And))
}

/// The one node, or all of them.
fn alone(mut nodes: Vec<Node>) -> Result<Node, Vec<Node>> {
    match nodes.pop() {
        Some(only) if nodes.is_empty() => Ok(only),
        last => {
            nodes.extend(last);
            Err(nodes)
        }
    }
}

fn not(parser: &mut Parser) -> Result<Node, SyntaxError> {
    if parser.eat_word("not") {
        let inner = parser.nested(not)?;
        // NOT NOT says nothing.
        return Ok(match inner {
            Node::Not(inner) => *inner,
            inner => Node::Not(Box::new(inner)),
        });
    }
    if parser.eat("(") {
        let inner = parser.nested(or)?;
        parser.expect(")")?;
        return Ok(inner);
    }
    comparison(parser)
}

fn comparison(parser: &mut Parser) -> Result<Node, SyntaxError> {
    if let Some(name) = parser.function()
        && !matches!(name.as_str(), "size" | "now")
    {
        return function(parser, &name);
    }
    let left = operand(parser)?;
    for (sign, comparator) in Comparator::ALL {
        if parser.eat(sign) {
            return Ok(Node::Compare(left, comparator, operand(parser)?));
        }
    }
    if parser.eat_word("between") {
        let at = parser.at();
        let low = operand(parser)?;
        if !parser.eat_word("and") {
            return Err(parser.unexpected("AND and the upper bound"));
        }
        let high = operand(parser)?;
        if let (Operand::Constant(low), Operand::Constant(high)) = (&low, &high)
            && low.kind() != high.kind()
        {
            return Err(SyntaxError::new(at, "both bounds are of one type"));
        }
        return Ok(Node::Between(left, low, high));
    }
    if parser.eat_word("in") {
        let at = parser.at();
        parser.expect("(")?;
        let choices = parser.list(")", operand)?;
        if choices.is_empty() || choices.len() > MOST_CHOICES {
            return Err(SyntaxError::new(at, format!("IN has 1 to {MOST_CHOICES} values")));
        }
        return Ok(Node::In(left, choices));
    }
    Err(parser.unexpected("=, <>, <, <=, >, >=, BETWEEN or IN"))
}

/// A function that is a condition.
fn function(parser: &mut Parser, name: &str) -> Result<Node, SyntaxError> {
    let unknown = parser.problem(format!("there is no function {name}; there are {FUNCTIONS}"));
    parser.enter_function();
    let node = match name {
        "attribute_exists" => Node::Exists(parser.path()?),
        "attribute_not_exists" => Node::NotExists(parser.path()?),
        "attribute_type" => {
            let path = parser.path()?;
            parser.expect(",")?;
            let name = match parser.peek() {
                TokenKind::Text(name) if TYPES.contains(&name.as_str()) => name.clone(),
                _ => {
                    return Err(parser
                        .unexpected("a type: 'S', 'SS', 'N', 'NS', 'B', 'BS', 'BOOL', 'NULL', 'L' or 'M'"));
                }
            };
            parser.advance();
            Node::HasType(path, name)
        }
        "begins_with" | "contains" => {
            let path = parser.path()?;
            parser.expect(",")?;
            let at = parser.at();
            let operand = operand(parser)?;
            if operand == Operand::Path(path.clone()) {
                return Err(SyntaxError::new(
                    at,
                    format!("{name} compares an attribute with something else"),
                ));
            }
            if name == "contains" {
                Node::Contains(path, operand)
            } else {
                if let Operand::Constant(constant) = &operand
                    && !matches!(constant.kind(), "S" | "B")
                {
                    return Err(SyntaxError::new(at, "begins_with looks for a string or a binary value"));
                }
                Node::BeginsWith(path, operand)
            }
        }
        _ => return Err(unknown),
    };
    parser.expect(")")?;
    Ok(node)
}

fn operand(parser: &mut Parser) -> Result<Operand, SyntaxError> {
    if let Some(constant) = parser.constant()? {
        return Ok(Operand::Constant(constant));
    }
    match parser.function().as_deref() {
        None => parser.path().map(Operand::Path),
        Some("size") => {
            parser.enter_function();
            let path = parser.path()?;
            parser.expect(")")?;
            Ok(Operand::Size(path))
        }
        Some(name) => Err(parser.problem(format!("{name}(…) is not a value to compare"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_dynamodb::types::AttributeValue;
    use nextbasket_domain::Timestamp;

    /// As it is written with placeholders replaced by names and values again.
    fn written(text: &str) -> String {
        let mut placeholders = Placeholders::at(Timestamp::parse("2026-05-17T09:30:00.123Z").unwrap());
        let mut written = Condition::parse(text).unwrap().write(&mut placeholders);
        for (placeholder, name) in placeholders.names().unwrap_or_default() {
            written = written.replace(&placeholder, &name);
        }
        for (placeholder, value) in placeholders.values().unwrap_or_default() {
            let value = match value {
                AttributeValue::S(text) => format!("'{text}'"),
                AttributeValue::N(number) => number,
                other => format!("{other:?}"),
            };
            written = written.replace(&placeholder, &value);
        }
        written
    }

    fn refused(text: &str) -> String {
        Condition::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn every_name_and_every_value_becomes_a_placeholder() {
        let mut placeholders = Placeholders::at(Timestamp::EPOCH);
        let condition = Condition::parse("status = 'old' AND status <> name AND a.status[2] < 5").unwrap();
        assert_eq!(condition.write(&mut placeholders), "#n0 = :v0 AND #n0 <> #n1 AND #n2.#n0[2] < :v1");
        assert_eq!(placeholders.names().unwrap().len(), 3);
        assert_eq!(placeholders.values().unwrap().len(), 2);
    }

    #[test]
    fn the_language_is_that_of_dynamodb_with_values_in_place() {
        for same in [
            "status = 'old' AND size(tags) > 2 AND expiresAt < 1700000000 AND attribute_not_exists(lock)",
            "a BETWEEN 1 AND 5 AND b IN (1, 2, 'x') OR NOT begins_with(c, 'x')",
            "(a = 1 OR b = 2) AND NOT (c = 3 AND d = 4)",
            "attribute_type(a, 'SS') OR contains(tags, 'x')",
            "size(a.b[0]) <= size(c)",
        ] {
            assert_eq!(written(same), same);
        }
    }

    #[test]
    fn what_says_nothing_is_left_out() {
        assert_eq!(written("((a = 1)) and (((b = 2) or c = 3))"), "a = 1 AND (b = 2 OR c = 3)");
        assert_eq!(written("not not a != 1"), "a <> 1");
        assert_eq!(written("#date = 1 AND `and` = 2"), "date = 1 AND and = 2");
    }

    #[test]
    fn now_is_the_time_that_the_caller_says() {
        assert_eq!(written("a < now()"), "a < 1779010200");
        assert_eq!(written("a < now('ms') - 1h + 5s"), "a < 1779006605123");
        assert_eq!(written("a < now('iso') - 30d"), "a < '2026-04-17T09:30:00.123Z'");
        assert_eq!(written("a = now('date')"), "a = '2026-05-17'");
    }

    #[test]
    fn an_added_condition_binds_weaker_than_what_is_there() {
        let mut placeholders = Placeholders::at(Timestamp::EPOCH);
        let both = Condition::parse("a = 1 OR b = 2").unwrap().and(Condition::exists("pk"));
        assert_eq!(both.write(&mut placeholders), "(#n0 = :v0 OR #n1 = :v1) AND attribute_exists(#n2)");
    }

    #[test]
    fn the_paths_that_are_read_are_known() {
        let condition =
            Condition::parse("a.b = c OR size(d) > 1 AND NOT contains(e, f) AND g IN (h, 1)").unwrap();
        let paths: Vec<String> = condition.paths().into_iter().map(ToString::to_string).collect();
        assert_eq!(paths, ["a.b", "c", "d", "e", "f", "g", "h"]);
    }

    #[test]
    fn errors_say_where_and_what() {
        for (text, problem) in [
            ("", "at character 1: expected an attribute's name, found the end"),
            ("a", "at character 2: expected =, <>, <, <=, >, >=, BETWEEN or IN, found the end"),
            ("a = ", "at character 5: expected an attribute's name, found the end"),
            ("a = 1 b", "at character 7: expected the end, found b"),
            ("a = :v", "at character 5: values are written in place, without placeholders"),
            ("(a = 1", "at character 7: expected ), found the end"),
            ("a = 30d", "at character 5: a span of time stands behind now() + or now() - alone"),
            ("a BETWEEN 1 OR 2", "at character 13: expected AND and the upper bound, found OR"),
            ("a BETWEEN 1 AND 'x'", "at character 11: both bounds are of one type"),
            ("a IN ()", "at character 6: IN has 1 to 100 values"),
            (
                "attribute_type(a, 'X')",
                "at character 19: expected a type: 'S', 'SS', 'N', 'NS', 'B', 'BS', 'BOOL', 'NULL', 'L' or 'M', found 'X'",
            ),
            ("begins_with(a, 1)", "at character 16: begins_with looks for a string or a binary value"),
            ("contains(a, a)", "at character 13: contains compares an attribute with something else"),
            ("a = attribute_exists(b)", "at character 5: attribute_exists(…) is not a value to compare"),
            ("a = <<'x', 1>>", "at character 5: the members of a set are of one type"),
            ("a = {'x', 'x'}", "at character 5: a member stands twice in the set"),
            ("a = {k: 1, 'k': 2}", "at character 12: the entry k stands twice"),
        ] {
            assert_eq!(refused(text), problem, "{text}");
        }
        assert!(
            refused("matches(a, 'x')").starts_with("at character 1: there is no function matches; there are")
        );
        assert!(refused("and = 1").contains("one that is called and is put in backticks"));
        assert!(Condition::parse("null = a").is_ok(), "a value may stand on the left");
    }

    #[test]
    fn what_is_nested_too_deep_is_refused_before_it_hurts() {
        let deep = |levels: usize| format!("{}a = 1{}", "(".repeat(levels), ")".repeat(levels));
        assert!(Condition::parse(&deep(32)).is_ok());
        assert!(refused(&deep(33)).contains("nested deeper than 32 levels"));
        assert!(refused(&format!("a = {}", "[".repeat(100_000))).contains("nested deeper"));
        assert!(refused(&format!("{} a = 1", "NOT ".repeat(100_000))).contains("nested deeper"));
    }
}
