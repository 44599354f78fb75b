//! The parser that conditions and changes share: tokens, paths, constants.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use super::SyntaxError;
use super::constant::{Constant, TimeForm};
use super::path::{Path, PathStep};
use super::token::{Token, TokenKind, tokens};

/// How deep parentheses, lists and maps may be nested: DynamoDB's own limit for documents.
const DEEPEST: usize = 32;
/// Words that stand for themselves; attributes of these names are put in backticks.
const WORDS: [&str; 8] = ["and", "or", "not", "between", "in", "true", "false", "null"];

pub(super) struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
    end: Token,
}

impl Parser {
    pub(super) fn new(text: &str) -> Result<Self, SyntaxError> {
        let tokens = tokens(text)?;
        let end = Token { kind: TokenKind::End, at: text.chars().count() };
        Ok(Self { tokens, next: 0, depth: 0, end })
    }

    pub(super) fn peek(&self) -> &TokenKind {
        &self.token(0).kind
    }

    pub(super) fn at(&self) -> usize {
        self.token(0).at
    }

    fn token(&self, ahead: usize) -> &Token {
        self.tokens.get(self.next + ahead).unwrap_or(&self.end)
    }

    pub(super) fn advance(&mut self) -> TokenKind {
        let kind = self.peek().clone();
        self.next += 1;
        kind
    }

    pub(super) fn eat(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), TokenKind::Sign(found) if *found == sign);
        if found {
            self.next += 1;
        }
        found
    }

    pub(super) fn expect(&mut self, sign: &str) -> Result<(), SyntaxError> {
        if self.eat(sign) { Ok(()) } else { Err(self.unexpected(sign)) }
    }

    /// Takes the word, written small or large.
    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.next += 1;
        }
        found
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), TokenKind::Word(found) if found.eq_ignore_ascii_case(word))
    }

    /// Whether a name follows the token that is next.
    pub(super) fn name_follows(&self) -> bool {
        matches!(self.token(1).kind, TokenKind::Word(_) | TokenKind::Quoted(_))
    }

    /// The word that is next, if a parenthesis follows it: a function's name.
    pub(super) fn function(&self) -> Option<String> {
        match (&self.token(0).kind, &self.token(1).kind) {
            (TokenKind::Word(name), TokenKind::Sign("(")) => Some(name.to_ascii_lowercase()),
            _ => None,
        }
    }

    /// Takes a function's name and its parenthesis.
    pub(super) fn enter_function(&mut self) {
        self.next += 2;
    }

    pub(super) fn expect_end(&self) -> Result<(), SyntaxError> {
        if *self.peek() == TokenKind::End { Ok(()) } else { Err(self.unexpected("the end")) }
    }

    /// The error of the next token, where something else is expected.
    pub(super) fn unexpected(&self, expected: &str) -> SyntaxError {
        let found = match self.peek() {
            TokenKind::Word(word) => word.clone(),
            TokenKind::Quoted(name) => format!("`{name}`"),
            TokenKind::Text(text) => format!("'{text}'"),
            TokenKind::Number(number) => number.clone(),
            TokenKind::Span(_) => "a span of time".to_owned(),
            TokenKind::Binary(_) => "a binary value".to_owned(),
            TokenKind::Sign(":") => return self.problem("values are written in place, without placeholders"),
            TokenKind::Sign(sign) => (*sign).to_owned(),
            TokenKind::End => "the end".to_owned(),
        };
        self.problem(format!("expected {expected}, found {found}"))
    }

    pub(super) fn problem(&self, problem: impl Into<String>) -> SyntaxError {
        SyntaxError::new(self.at(), problem)
    }

    pub(super) fn nested<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, SyntaxError>,
    ) -> Result<T, SyntaxError> {
        if self.depth == DEEPEST {
            return Err(self.problem(format!("nested deeper than {DEEPEST} levels")));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// What is separated by commas, up to and with the closing sign.
    pub(super) fn list<T>(
        &mut self,
        close: &str,
        read: impl Fn(&mut Self) -> Result<T, SyntaxError>,
    ) -> Result<Vec<T>, SyntaxError> {
        let mut entries = Vec::new();
        if self.eat(close) {
            return Ok(entries);
        }
        loop {
            entries.push(self.nested(&read)?);
            if self.eat(close) {
                return Ok(entries);
            }
            if !self.eat(",") {
                return Err(self.unexpected(&format!(", or {close}")));
            }
        }
    }

    pub(super) fn path(&mut self) -> Result<Path, SyntaxError> {
        let mut path = Path::new(self.name()?);
        loop {
            if self.eat(".") {
                let name = self.name()?;
                path.push(PathStep::Name(name));
            } else if self.eat("[") {
                let index = match self.peek() {
                    TokenKind::Number(digits) => digits.parse().ok(),
                    _ => None,
                };
                let index = index.ok_or_else(|| self.unexpected("an element's number"))?;
                self.advance();
                self.expect("]")?;
                path.push(PathStep::Index(index));
            } else {
                return Ok(path);
            }
        }
    }

    fn name(&mut self) -> Result<String, SyntaxError> {
        match self.peek() {
            TokenKind::Word(word) if WORDS.iter().any(|known| word.eq_ignore_ascii_case(known)) => {
                let hint = format!("an attribute's name (one that is called {word} is put in backticks)");
                Err(self.unexpected(&hint))
            }
            TokenKind::Word(name) | TokenKind::Quoted(name) => {
                let name = name.clone();
                self.next += 1;
                Ok(name)
            }
            _ => Err(self.unexpected("an attribute's name")),
        }
    }

    /// A constant, if one is next.
    pub(super) fn constant(&mut self) -> Result<Option<Constant>, SyntaxError> {
        let value = |value| Ok(Some(Constant::Value(value)));
        match self.peek().clone() {
            TokenKind::Text(text) => {
                self.next += 1;
                value(AttributeValue::S(text))
            }
            TokenKind::Number(number) => {
                self.next += 1;
                value(AttributeValue::N(number))
            }
            TokenKind::Sign("-") => {
                self.next += 1;
                let TokenKind::Number(number) = self.peek().clone() else {
                    return Err(self.unexpected("a number"));
                };
                self.next += 1;
                value(AttributeValue::N(format!("-{number}")))
            }
            TokenKind::Binary(bytes) => {
                self.next += 1;
                value(AttributeValue::B(Blob::new(bytes)))
            }
            TokenKind::Span(_) => Err(self.problem("a span of time stands behind now() + or now() - alone")),
            TokenKind::Word(_) if self.eat_word("true") => value(AttributeValue::Bool(true)),
            TokenKind::Word(_) if self.eat_word("false") => value(AttributeValue::Bool(false)),
            TokenKind::Word(_) if self.eat_word("null") => value(AttributeValue::Null(true)),
            TokenKind::Word(_) if self.function().as_deref() == Some("now") => self.now().map(Some),
            TokenKind::Sign("[") => {
                self.next += 1;
                self.list("]", Self::expect_constant).map(Constant::List).map(Some)
            }
            TokenKind::Sign("<<") => {
                let start = self.at();
                self.next += 1;
                let members = self.list(">>", Self::expect_constant)?;
                set(members, start).map(Some)
            }
            TokenKind::Sign("{") => self.braces().map(Some),
            _ => Ok(None),
        }
    }

    pub(super) fn expect_constant(&mut self) -> Result<Constant, SyntaxError> {
        match self.constant()? {
            Some(constant) => Ok(constant),
            None => Err(self.unexpected("a value")),
        }
    }

    /// A map, or a set in braces.
    fn braces(&mut self) -> Result<Constant, SyntaxError> {
        let start = self.at();
        self.next += 1;
        let is_map =
            matches!(self.peek(), TokenKind::Sign("}")) || matches!(self.token(1).kind, TokenKind::Sign(":"));
        if !is_map {
            let members = self.list("}", Self::expect_constant)?;
            return set(members, start);
        }
        let entries = self.list("}", |parser| {
            let at = parser.at();
            let name = match parser.advance() {
                TokenKind::Word(name) | TokenKind::Quoted(name) | TokenKind::Text(name) => name,
                _ => return Err(SyntaxError::new(at, "expected an entry's name")),
            };
            parser.expect(":")?;
            Ok((at, name, parser.expect_constant()?))
        })?;
        let mut map = BTreeMap::new();
        for (at, name, value) in entries {
            if map.contains_key(&name) {
                return Err(SyntaxError::new(at, format!("the entry {name} stands twice")));
            }
            map.insert(name, value);
        }
        Ok(Constant::Map(map))
    }

    /// `now()` with its form and the spans behind it.
    fn now(&mut self) -> Result<Constant, SyntaxError> {
        self.enter_function();
        let form = match self.peek() {
            TokenKind::Text(name) => {
                let form =
                    TimeForm::named(name).ok_or_else(|| self.unexpected("'s', 'ms', 'iso' or 'date'"))?;
                self.next += 1;
                form
            }
            _ => TimeForm::Seconds,
        };
        self.expect(")")?;
        let mut offset: i64 = 0;
        loop {
            let sign = match (&self.token(0).kind, &self.token(1).kind) {
                (TokenKind::Sign("+"), TokenKind::Span(_)) => 1,
                (TokenKind::Sign("-"), TokenKind::Span(_)) => -1,
                _ => return Ok(Constant::Now(form, offset)),
            };
            self.next += 1;
            if let TokenKind::Span(span) = self.advance() {
                offset = offset.saturating_add(span.saturating_mul(sign));
            }
        }
    }
}

/// A set of these members; `at` is where it begins.
fn set(members: Vec<Constant>, at: usize) -> Result<Constant, SyntaxError> {
    let (mut texts, mut numbers, mut binaries) = (Vec::new(), Vec::new(), Vec::new());
    for member in members {
        match member {
            Constant::Value(AttributeValue::S(text)) => texts.push(text),
            Constant::Value(AttributeValue::N(number)) => numbers.push(number),
            Constant::Value(AttributeValue::B(binary)) => binaries.push(binary),
            _ => return Err(SyntaxError::new(at, "a set has strings, numbers or binary values")),
        }
    }
    let value = match (texts.is_empty(), numbers.is_empty(), binaries.is_empty()) {
        (false, true, true) => AttributeValue::Ss(texts),
        (true, false, true) => AttributeValue::Ns(numbers),
        (true, true, false) => AttributeValue::Bs(binaries),
        (true, true, true) => return Err(SyntaxError::new(at, "a set is not empty")),
        _ => return Err(SyntaxError::new(at, "the members of a set are of one type")),
    };
    if super::evaluate::has_duplicates(&value) {
        return Err(SyntaxError::new(at, "a member stands twice in the set"));
    }
    Ok(Constant::Value(value))
}
