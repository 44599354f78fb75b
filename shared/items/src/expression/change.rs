//! Changes: what becomes of an item.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::SyntaxError;
use super::constant::Constant;
use super::parser::Parser;
use super::path::Path;
use super::placeholders::Placeholders;
use super::token::TokenKind;

const SECTIONS: &str = "SET, REMOVE, ADD or DELETE";
/// A sum of more is nobody's, and would be nested as deep.
const MOST_TERMS: usize = 32;
const FUNCTIONS: &str = "if_not_exists, list_append and now";

/// A change of an item.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(try_from = "String")]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(into = "String", title = "Change", example = "price = 5 REMOVE old", extend("format" = "change"))
)]
pub struct Change {
    pub(super) set: Vec<(Path, NewValue)>,
    pub(super) remove: Vec<Path>,
    pub(super) add: Vec<(Path, Constant)>,
    pub(super) delete: Vec<(Path, Constant)>,
}

/// What an attribute is set to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum NewValue {
    Path(Path),
    Constant(Constant),
    IfNotExists(Path, Box<NewValue>),
    ListAppend(Box<NewValue>, Box<NewValue>),
    Plus(Box<NewValue>, Box<NewValue>),
    Minus(Box<NewValue>, Box<NewValue>),
}

impl TryFrom<String> for Change {
    type Error = SyntaxError;

    fn try_from(text: String) -> Result<Self, SyntaxError> {
        Self::parse(&text)
    }
}

impl Change {
    /// Reads a change. The word `SET` may be left out at the beginning.
    ///
    /// # Errors
    /// [`SyntaxError`] if the text is not a change, or two of its parts write the same path.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let mut parser = Parser::new(text)?;
        let mut change = Self::default();
        let mut written: Vec<Path> = Vec::new();
        let mut first = true;
        while first || *parser.peek() != TokenKind::End {
            let section = match section(&mut parser) {
                Some(section) => section,
                None if first => "set",
                None => return Err(parser.unexpected(&format!("a comma, {SECTIONS}"))),
            };
            first = false;
            loop {
                let at = parser.at();
                let path = change.part(&mut parser, section)?;
                if let Some(other) = written.iter().find(|other| other.overlaps(&path)) {
                    let problem = format!("{path} cannot be changed together with {other}");
                    return Err(SyntaxError::new(at, problem));
                }
                written.push(path);
                if !parser.eat(",") {
                    break;
                }
            }
        }
        Ok(change)
    }

    /// Reads one part of a section and gives the path that it writes.
    fn part(&mut self, parser: &mut Parser, section: &str) -> Result<Path, SyntaxError> {
        let path = parser.path()?;
        let at = parser.at();
        match section {
            "set" => {
                parser.expect("=")?;
                self.set.push((path.clone(), value(parser)?));
            }
            "remove" => self.remove.push(path.clone()),
            "add" => {
                let constant = parser.expect_constant()?;
                if !matches!(constant.kind(), "N" | "SS" | "NS" | "BS") {
                    return Err(SyntaxError::new(at, "ADD takes a number or a set"));
                }
                self.add.push((path.clone(), constant));
            }
            _ => {
                let constant = parser.expect_constant()?;
                if !matches!(constant.kind(), "SS" | "NS" | "BS") {
                    return Err(SyntaxError::new(at, "DELETE takes a set of what goes out of a set"));
                }
                self.delete.push((path.clone(), constant));
            }
        }
        Ok(path)
    }

    /// The paths that it writes.
    #[must_use]
    pub fn writes(&self) -> Vec<&Path> {
        let set = self.set.iter().map(|(path, _)| path);
        let add = self.add.iter().chain(&self.delete).map(|(path, _)| path);
        set.chain(&self.remove).chain(add).collect()
    }

    /// The attributes that it writes in or as a whole.
    #[must_use]
    pub fn attributes(&self) -> BTreeSet<&str> {
        self.writes().into_iter().map(Path::root).collect()
    }

    /// Whether doing it twice is the same as once.
    ///
    /// It is not if a value is counted from what the change itself writes, if a number is added, or if elements of a
    /// list move or come in.
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        let writes = self.writes();
        let adds_number = self.add.iter().any(|(_, constant)| constant.kind() == "N");
        let moves_elements = self.set.iter().map(|(path, _)| path).chain(&self.remove).any(Path::is_element);
        let repeats = |(path, value): &(Path, NewValue)| match value {
            // Once it is there, it stays.
            NewValue::IfNotExists(same, other) if same == path => !other.reads_any_of(&writes),
            value => !value.reads_any_of(&writes),
        };
        !adds_number && !moves_elements && self.set.iter().all(repeats)
    }

    /// As DynamoDB's expression.
    pub fn write(&self, placeholders: &mut Placeholders) -> String {
        let mut sections = Vec::new();
        let mut section = |word: &str, parts: Vec<String>| {
            if !parts.is_empty() {
                sections.push(format!("{word} {}", parts.join(", ")));
            }
        };
        let mut set = Vec::new();
        for (path, value) in &self.set {
            let path = placeholders.path(path);
            set.push(format!("{path} = {}", value.write(placeholders)));
        }
        section("SET", set);
        section("REMOVE", self.remove.iter().map(|path| placeholders.path(path)).collect());
        for (word, parts) in [("ADD", &self.add), ("DELETE", &self.delete)] {
            let mut written = Vec::new();
            for (path, constant) in parts {
                let path = placeholders.path(path);
                written.push(format!("{path} {}", placeholders.constant(constant)));
            }
            section(word, written);
        }
        sections.join(" ")
    }
}

impl NewValue {
    fn write(&self, to: &mut Placeholders) -> String {
        match self {
            Self::Path(path) => to.path(path),
            Self::Constant(constant) => to.constant(constant),
            Self::IfNotExists(path, other) => {
                let path = to.path(path);
                format!("if_not_exists({path}, {})", other.write_in(to))
            }
            Self::ListAppend(first, second) => {
                let first = first.write_in(to);
                format!("list_append({first}, {})", second.write_in(to))
            }
            Self::Plus(left, right) => format!("{} + {}", left.write_in(to), right.write_in(to)),
            Self::Minus(left, right) => format!("{} - {}", left.write_in(to), right.write_in(to)),
        }
    }

    /// In parentheses if it is a sum.
    fn write_in(&self, to: &mut Placeholders) -> String {
        let text = self.write(to);
        if matches!(self, Self::Plus(..) | Self::Minus(..)) { format!("({text})") } else { text }
    }

    fn reads_any_of(&self, paths: &[&Path]) -> bool {
        let is_written = |path: &Path| paths.iter().any(|written| written.overlaps(path));
        match self {
            Self::Path(path) => is_written(path),
            Self::Constant(_) => false,
            Self::IfNotExists(path, other) => is_written(path) || other.reads_any_of(paths),
            Self::ListAppend(one, other) | Self::Plus(one, other) | Self::Minus(one, other) => {
                one.reads_any_of(paths) || other.reads_any_of(paths)
            }
        }
    }
}

/// The section's word, if it is next. A word that is followed by no name is an attribute.
fn section(parser: &mut Parser) -> Option<&'static str> {
    let found = ["set", "remove", "add", "delete"].into_iter().find(|word| parser.is_word(word))?;
    if !parser.name_follows() {
        return None;
    }
    parser.advance();
    Some(found)
}

/// An operand, or a sum of some.
fn value(parser: &mut Parser) -> Result<NewValue, SyntaxError> {
    let begin = parser.at();
    let mut sum = operand(parser)?;
    for _ in 0..MOST_TERMS {
        let join = if parser.eat("+") {
            NewValue::Plus
        } else if parser.eat("-") {
            NewValue::Minus
        } else {
            return Ok(sum);
        };
        let at = parser.at();
        let next = parser.nested(operand)?;
        for (term, at) in [(&sum, begin), (&next, at)] {
            of_kind("N", term, at, "+ and - take numbers")?;
        }
        sum = join(Box::new(sum), Box::new(next));
    }
    Err(parser.problem(format!("a sum has at most {MOST_TERMS} terms")))
}

/// Refuses a constant of another type: no item would take it.
fn of_kind(kind: &str, value: &NewValue, at: usize, problem: &str) -> Result<(), SyntaxError> {
    match value {
        NewValue::Constant(constant) if constant.kind() != kind => Err(SyntaxError::new(at, problem)),
        _ => Ok(()),
    }
}

fn operand(parser: &mut Parser) -> Result<NewValue, SyntaxError> {
    if let Some(constant) = parser.constant()? {
        return Ok(NewValue::Constant(constant));
    }
    if parser.eat("(") {
        let inner = parser.nested(value)?;
        parser.expect(")")?;
        return Ok(inner);
    }
    match parser.function().as_deref() {
        None => parser.path().map(NewValue::Path),
        Some("if_not_exists") => {
            parser.enter_function();
            let path = parser.path()?;
            parser.expect(",")?;
            let other = parser.nested(value)?;
            parser.expect(")")?;
            Ok(NewValue::IfNotExists(path, Box::new(other)))
        }
        Some("list_append") => {
            parser.enter_function();
            let begin = parser.at();
            let first = parser.nested(value)?;
            parser.expect(",")?;
            let at = parser.at();
            let second = parser.nested(value)?;
            for (list, at) in [(&first, begin), (&second, at)] {
                of_kind("L", list, at, "list_append takes lists")?;
            }
            parser.expect(")")?;
            Ok(NewValue::ListAppend(Box::new(first), Box::new(second)))
        }
        Some(name) => {
            let problem = format!("there is no function {name} for values; there are {FUNCTIONS}");
            Err(parser.problem(problem))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nextbasket_domain::Timestamp;

    fn written(text: &str) -> String {
        let mut placeholders = Placeholders::at(Timestamp::EPOCH);
        let mut written = Change::parse(text).unwrap().write(&mut placeholders);
        for (placeholder, name) in placeholders.names().unwrap_or_default() {
            written = written.replace(&placeholder, &name);
        }
        written
    }

    #[test]
    fn all_sections_become_one_expression() {
        let text = "SET price = 5, n = n + 1, tags = list_append(tags, ['x']) REMOVE old, `very old`[2] ADD seen 1 \
                    DELETE labels {'a'}";
        assert_eq!(
            written(text),
            "SET price = :v0, n = n + :v1, tags = list_append(tags, :v2) REMOVE old, very old[2] ADD seen :v3 \
             DELETE labels :v4"
        );
    }

    #[test]
    fn the_first_word_may_be_left_out() {
        assert_eq!(written("price = 5, name = 'x' remove old"), "SET price = :v0, name = :v1 REMOVE old");
        assert_eq!(written("set = 5, `remove` = 1"), "SET set = :v0, remove = :v1");
        assert_eq!(written("SET set = 5 REMOVE remove"), "SET set = :v0 REMOVE remove");
    }

    #[test]
    fn sums_keep_their_order() {
        assert_eq!(written("a = b - 1 - c"), "SET a = (b - :v0) - c");
        assert_eq!(written("a = b - (1 - c)"), "SET a = b - (:v0 - c)");
        assert_eq!(written("a = if_not_exists(a, 0) + -1"), "SET a = if_not_exists(a, :v0) + :v1");
        assert_eq!(written("a = n -1"), "SET a = n - :v0");
        assert_eq!(written("until = now() + 30d"), "SET until = :v0");
    }

    #[test]
    fn what_comes_to_the_same_twice_is_told_from_what_does_not() {
        for idempotent in [
            "a = 5, b = 'x'",
            "a = b",
            "a = b + 1",
            "a.x = b.x, c.y = c.z",
            "a = if_not_exists(a, 5)",
            "a = if_not_exists(b, c)",
            "a = now()",
            "l[0].done = true",
            "REMOVE a, b.c",
            "ADD labels <<'x'>> DELETE tags <<1, 2>>",
        ] {
            assert!(Change::parse(idempotent).unwrap().is_idempotent(), "{idempotent}");
        }
        for other in [
            "n = n + 1",
            "a = b, b = a",
            "a = b REMOVE b",
            "a = b.c, b.c.d = 1",
            "a = b.c.d, b.c = 1",
            "tags = list_append(tags, ['x'])",
            "a = if_not_exists(a, 0) + 1",
            "a = if_not_exists(a, b), b = 1",
            "a = if_not_exists(b, 1), b = 2",
            "l[2] = 'x'",
            "REMOVE l[0]",
            "ADD n 1",
        ] {
            assert!(!Change::parse(other).unwrap().is_idempotent(), "{other}");
        }
    }

    #[test]
    fn errors_say_where_and_what() {
        for (text, problem) in [
            ("", "at character 1: expected an attribute's name, found the end"),
            ("a", "at character 2: expected =, found the end"),
            ("a = 1 b = 2", "at character 7: expected a comma, SET, REMOVE, ADD or DELETE, found b"),
            ("a = 1, a.b = 2", "at character 8: a.b cannot be changed together with a"),
            ("SET a = 1 REMOVE a", "at character 18: a cannot be changed together with a"),
            ("ADD a 'x'", "at character 7: ADD takes a number or a set"),
            ("DELETE a 1", "at character 10: DELETE takes a set of what goes out of a set"),
            ("ADD a b", "at character 7: expected a value, found b"),
            (
                "a = size(b)",
                "at character 5: there is no function size for values; there are if_not_exists, list_append and now",
            ),
            ("a = b + 'x'", "at character 9: + and - take numbers"),
            ("a = [1] - b", "at character 5: + and - take numbers"),
            ("a = list_append(b, 'x')", "at character 20: list_append takes lists"),
            ("a = list_append(b)", "at character 18: expected ,, found )"),
            ("a = 30d", "at character 5: a span of time stands behind now() + or now() - alone"),
        ] {
            assert_eq!(Change::parse(text).unwrap_err().to_string(), problem, "{text}");
        }
        let deep = format!("a = {}1{}", "(".repeat(40), ")".repeat(40));
        assert!(Change::parse(&deep).unwrap_err().problem.contains("nested deeper"));
    }

    #[test]
    fn a_sum_of_very_many_terms_is_refused_before_it_hurts() {
        let sum = |terms: usize| format!("a = {}", vec!["b"; terms].join(" + "));
        assert!(Change::parse(&sum(20)).is_ok());
        assert!(Change::parse(&sum(100_000)).unwrap_err().problem.contains("at most 32 terms"));
    }
}
