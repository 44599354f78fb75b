//! The changes and conditions that PartiQL says exactly as expressions do.
//!
//! Elsewhere the two differ: to PartiQL an attribute that is not there is not `<>` anything, its `NOT` and its nulls
//! are others, and it knows no `if_not_exists`. Paths into maps and lists, and names with dots, are not said as statements
//! either: other implementations of DynamoDB take `"a"."b"` for an attribute of that name, report success and change the
//! wrong thing. Whatever is not certainly the same everywhere has no statement.

use std::fmt::Write;

use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_domain::Timestamp;

use super::change::{Change, NewValue};
use super::condition::{Comparator, Condition, Node, Operand};
use super::path::{Path, PathStep};

/// A part of a statement, and the values of its question marks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statement {
    /// Its text.
    pub text: String,
    /// The values, in the order of the question marks.
    pub parameters: Vec<AttributeValue>,
}

impl Change {
    /// `SET … REMOVE …`, if all of it can be said so.
    #[must_use]
    pub fn statement(&self, now: Timestamp) -> Option<Statement> {
        if !self.add.is_empty() || !self.delete.is_empty() {
            return None;
        }
        let mut statement = Statement::default();
        for (path, value) in &self.set {
            let NewValue::Constant(constant) = value else { return None };
            write!(statement.text, " SET {} = ?", quoted_path(path)?).ok()?;
            statement.parameters.push(constant.value(now));
        }
        for path in &self.remove {
            write!(statement.text, " REMOVE {}", quoted_path(path)?).ok()?;
        }
        Some(statement)
    }
}

impl Condition {
    /// The clause behind `WHERE`, if PartiQL can express it and it reads none of these attributes.
    #[must_use]
    pub fn statement<'a>(&self, but: impl Iterator<Item = &'a str>, now: Timestamp) -> Option<Statement> {
        let mut but = but;
        let paths = self.paths();
        if but.any(|name| paths.iter().any(|path| path.root() == name)) {
            return None;
        }
        let mut statement = Statement::default();
        self.0.statement(&mut statement, now)?;
        Some(statement)
    }
}

impl Node {
    fn statement(&self, to: &mut Statement, now: Timestamp) -> Option<()> {
        match self {
            Self::Compare(Operand::Path(path), comparator, Operand::Constant(constant)) => {
                let ordered = matches!(constant.kind(), "S" | "N" | "B");
                let sign = match comparator {
                    Comparator::Equal if ordered || constant.kind() == "BOOL" => "=",
                    Comparator::Less if ordered => "<",
                    Comparator::LessOrEqual if ordered => "<=",
                    Comparator::Greater if ordered => ">",
                    Comparator::GreaterOrEqual if ordered => ">=",
                    _ => return None,
                };
                write!(to.text, "{} {sign} ?", quoted_path(path)?).ok()?;
                to.parameters.push(constant.value(now));
            }
            Self::Between(Operand::Path(path), Operand::Constant(low), Operand::Constant(high)) => {
                let same = low.kind() == high.kind() && matches!(low.kind(), "S" | "N" | "B");
                let path = quoted_path(path).filter(|_| same)?;
                write!(to.text, "{path} BETWEEN ? AND ?").ok()?;
                to.parameters.extend([low.value(now), high.value(now)]);
            }
            Self::BeginsWith(path, Operand::Constant(constant)) => {
                write!(to.text, "begins_with({}, ?)", quoted_path(path)?).ok()?;
                to.parameters.push(constant.value(now));
            }
            Self::Contains(path, Operand::Constant(constant))
                if matches!(constant.kind(), "S" | "N" | "B") =>
            {
                write!(to.text, "contains({}, ?)", quoted_path(path)?).ok()?;
                to.parameters.push(constant.value(now));
            }
            Self::And(nodes) => joined(nodes, " AND ", to, now)?,
            Self::Or(nodes) => joined(nodes, " OR ", to, now)?,
            _ => return None,
        }
        Some(())
    }
}

fn joined(nodes: &[Node], join: &str, to: &mut Statement, now: Timestamp) -> Option<()> {
    for (at, node) in nodes.iter().enumerate() {
        if at > 0 {
            to.text.push_str(join);
        }
        let inner = matches!(node, Node::And(_) | Node::Or(_));
        if inner {
            to.text.push('(');
        }
        node.statement(to, now)?;
        if inner {
            to.text.push(')');
        }
    }
    Some(())
}

/// A path that is an attribute of the item itself.
fn quoted_path(path: &Path) -> Option<String> {
    match path.steps() {
        [PathStep::Name(name)] => quoted_attribute(name),
        _ => None,
    }
}

/// The name of an attribute in its quotes; `None` for those that could be taken for a path.
#[must_use]
pub fn quoted_attribute(name: &str) -> Option<String> {
    if name.contains('.') { None } else { quoted(name) }
}

/// A name in its quotes; `None` for those that would need more care.
#[must_use]
pub fn quoted(name: &str) -> Option<String> {
    let plain =
        |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ' ' | '.' | ':' | '/' | '#' | '@' | '$');
    name.chars().all(plain).then(|| format!("\"{name}\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nextbasket_dynamodb::item::{number, text};

    fn change(text: &str) -> Option<Statement> {
        Change::parse(text).unwrap().statement(Timestamp::EPOCH)
    }

    fn condition(text: &str) -> Option<String> {
        let statement = Condition::parse(text).unwrap().statement(["pk"].into_iter(), Timestamp::EPOCH);
        statement.map(|statement| statement.text)
    }

    #[test]
    fn plain_changes_are_said_as_statements() {
        let statement = change("price = 5, city = 'x' REMOVE `old price`").unwrap();
        assert_eq!(statement.text, r#" SET "price" = ? SET "city" = ? REMOVE "old price""#);
        assert_eq!(statement.parameters, [number(5), text("x")]);
        for other in ["a = b", "n = n + 1", "ADD n 1", "DELETE s {'x'}", "l[0].x = 1", "`a\"b` = 1"] {
            assert_eq!(change(other), None, "{other}");
        }
    }

    #[test]
    fn nothing_within_a_map_or_a_list_is_said_as_a_statement() {
        for other in ["m.x = 'new'", "a = 1, m.x = 2", "REMOVE m.x", "REMOVE l[0]", "`m.x` = 1"] {
            assert_eq!(change(other), None, "{other}");
        }
        for other in ["m.x = 'old'", "a = 1 AND l[0] = 2", "begins_with(m.x, 'o')", "`m.x` < 1"] {
            assert_eq!(condition(other), None, "{other}");
        }
    }

    #[test]
    fn plain_conditions_are_said_as_statements() {
        assert_eq!(
            condition("status = 'old' AND (n < 5 OR m BETWEEN 1 AND 2) AND begins_with(s, 'x')").unwrap(),
            r#""status" = ? AND ("n" < ? OR "m" BETWEEN ? AND ?) AND begins_with("s", ?)"#
        );
        for other in [
            "a <> 1",
            "NOT a = 1",
            "a = null",
            "a = b",
            "size(a) > 1",
            "attribute_not_exists(a)",
            "a = [1]",
            "a < true",
            "a IN (1, 2)",
            "pk = 'x'",
        ] {
            assert_eq!(condition(other), None, "{other}");
        }
    }
}
