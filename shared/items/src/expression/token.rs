//! An expression's text as tokens.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use nextbasket_dynamodb::Number;

use super::SyntaxError;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    /// A word: an attribute's name, a keyword or a function.
    Word(String),
    /// A name in backticks.
    Quoted(String),
    Text(String),
    /// A number, as it is written.
    Number(String),
    /// A span of time in milliseconds.
    Span(i64),
    Binary(Vec<u8>),
    Sign(&'static str),
    /// The text's end.
    End,
}

/// A token and where it begins, in characters from 0.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) at: usize,
}

const SIGNS: [&str; 21] = [
    "<<", ">>", "<>", "!=", "<=", ">=", "==", "=", "<", ">", "(", ")", "[", "]", "{", "}", ",", ".", ":",
    "+", "-",
];

/// The text's tokens, the last of them [`TokenKind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, SyntaxError> {
    let mut lexer = Lexer { rest: text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.take_while(char::is_whitespace);
        let at = lexer.at;
        let kind = lexer.next()?;
        let end = kind == TokenKind::End;
        tokens.push(Token { kind, at });
        if end {
            return Ok(tokens);
        }
    }
}

/// The text of an expression with its constants (strings, numbers, binaries) replaced, and the constants as they are. Of
/// a text that is no expression, nothing is left.
#[must_use]
pub fn without_constants(text: &str, replacement: &str) -> (String, Vec<String>) {
    let Ok(tokens) = tokens(text) else { return (replacement.to_owned(), vec![text.to_owned()]) };
    let (mut rest, mut constants) = (String::with_capacity(text.len()), Vec::new());
    let characters: Vec<char> = text.chars().collect();
    for (n, token) in tokens.iter().enumerate() {
        let end = tokens.get(n + 1).map_or(characters.len(), |next| next.at);
        let written: String = characters.get(token.at..end).unwrap_or_default().iter().collect();
        let space = written.get(written.trim_end().len()..).unwrap_or_default();
        let (quote, constant) = match &token.kind {
            TokenKind::Text(constant) => ("\"", constant.clone()),
            TokenKind::Number(constant) => ("", constant.clone()),
            TokenKind::Binary(bytes) => ("", STANDARD.encode(bytes)),
            _ => {
                rest.push_str(&written);
                continue;
            }
        };
        rest.extend([quote, replacement, quote, space]);
        constants.push(constant);
    }
    (rest, constants)
}

struct Lexer<'a> {
    rest: &'a str,
    /// The number of characters before it.
    at: usize,
}

impl<'a> Lexer<'a> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.rest = self.rest.get(next.len_utf8()..).unwrap_or_default();
        self.at += 1;
        Some(next)
    }

    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !fits(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.at += taken.chars().count();
        self.rest = rest;
        taken
    }

    fn eat(&mut self, text: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(text) else { return false };
        self.at += text.chars().count();
        self.rest = rest;
        true
    }

    fn next(&mut self) -> Result<TokenKind, SyntaxError> {
        let start = self.at;
        let Some(first) = self.peek() else { return Ok(TokenKind::End) };
        if self.rest.starts_with("b64'") || self.rest.starts_with("b64\"") {
            self.take_while(char::is_alphanumeric);
            return self.binary();
        }
        match first {
            '\'' | '"' => Ok(TokenKind::Text(self.quoted("string")?)),
            '`' => match self.quoted("name")? {
                name if name.is_empty() => Err(SyntaxError::new(start, "a name is not empty")),
                name => Ok(TokenKind::Quoted(name)),
            },
            '0'..='9' => self.number(),
            '#' => {
                // Those who are used to placeholders write it; it says the same as the name alone.
                self.bump();
                match self.take_while(is_word) {
                    "" => Err(SyntaxError::new(start, "a name stands behind #")),
                    name => Ok(TokenKind::Quoted(name.to_owned())),
                }
            }
            c if c.is_alphabetic() || c == '_' => Ok(TokenKind::Word(self.take_while(is_word).to_owned())),
            _ => match SIGNS.into_iter().find(|sign| self.eat(sign)) {
                Some("==") => Err(SyntaxError::new(start, "equality is written with one =")),
                Some("!=") => Ok(TokenKind::Sign("<>")),
                Some(sign) => Ok(TokenKind::Sign(sign)),
                None => Err(SyntaxError::new(start, format!("the character {first} has no meaning here"))),
            },
        }
    }

    /// Digits with a fraction and an exponent, or with a unit of time.
    fn number(&mut self) -> Result<TokenKind, SyntaxError> {
        let (start, whole) = (self.at, self.rest);
        self.take_while(|c| c.is_ascii_digit());
        let mut behind_point = self.rest.chars();
        if behind_point.next() == Some('.') && behind_point.next().is_some_and(|c| c.is_ascii_digit()) {
            self.bump();
            self.take_while(|c| c.is_ascii_digit());
        }
        let exponent =
            self.rest.strip_prefix(['e', 'E']).map(|rest| rest.strip_prefix(['+', '-']).unwrap_or(rest));
        if let Some(digits) = exponent
            && digits.starts_with(|c: char| c.is_ascii_digit())
        {
            self.bump();
            if !self.rest.starts_with(|c: char| c.is_ascii_digit()) {
                self.bump();
            }
            self.take_while(|c| c.is_ascii_digit());
        }
        let text = whole.get(..whole.len() - self.rest.len()).unwrap_or_default();
        let unit = self.take_while(is_word);
        if !unit.is_empty() {
            return span(text, unit).map_err(|problem| SyntaxError::new(start, problem));
        }
        match Number::parse(text) {
            Ok(_) => Ok(TokenKind::Number(text.to_owned())),
            Err(problem) => Err(SyntaxError::new(start, problem.to_string())),
        }
    }

    fn binary(&mut self) -> Result<TokenKind, SyntaxError> {
        let start = self.at;
        let text = self.quoted("binary value")?;
        match STANDARD.decode(&text) {
            Ok(bytes) => Ok(TokenKind::Binary(bytes)),
            Err(error) => Err(SyntaxError::new(start, format!("this is no base64: {error}"))),
        }
    }

    /// The text between this quote and the next one like it.
    fn quoted(&mut self, what: &str) -> Result<String, SyntaxError> {
        let start = self.at;
        let quote = self.bump();
        let mut content = String::new();
        loop {
            let at = self.at;
            match self.bump() {
                None => {
                    return Err(SyntaxError::new(start, format!("the {what} that begins here does not end")));
                }
                Some('\\') => content.push(self.escaped(at)?),
                next if next == quote => {
                    if self.peek() != quote {
                        return Ok(content);
                    }
                    content.extend(self.bump());
                }
                Some(other) => content.push(other),
            }
        }
    }

    /// The character that an escape stands for; its backslash, at `at`, is taken.
    fn escaped(&mut self, at: usize) -> Result<char, SyntaxError> {
        let unknown = || SyntaxError::new(at, r"behind \ stands one of \ ' ` n r t u{…} or a double quote");
        match self.bump() {
            Some(same @ ('\\' | '\'' | '"' | '`')) => Ok(same),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('u') if self.eat("{") => {
                let digits = self.take_while(|c| c.is_ascii_hexdigit());
                let character = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
                character.filter(|_| self.eat("}")).ok_or_else(unknown)
            }
            _ => Err(unknown()),
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A span of time from its number and unit.
fn span(number: &str, unit: &str) -> Result<TokenKind, String> {
    let millis: i64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 7 * 86_400_000,
        _ => return Err(format!("{number}{unit} is neither a number nor a span of time, such as 30d")),
    };
    let number: i64 =
        number.parse().map_err(|_| "a span of time is a whole number and its unit".to_owned())?;
    number.checked_mul(millis).map(TokenKind::Span).ok_or_else(|| "a span of time is not as long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<TokenKind> {
        let mut kinds: Vec<TokenKind> = tokens(text).unwrap().into_iter().map(|token| token.kind).collect();
        assert_eq!(kinds.pop(), Some(TokenKind::End));
        kinds
    }

    fn problem(text: &str) -> (usize, String) {
        let error = tokens(text).unwrap_err();
        (error.at, error.problem)
    }

    #[test]
    fn quotes_are_doubled_or_escaped() {
        let text = |content: &str| vec![TokenKind::Text(content.to_owned())];
        assert_eq!(kinds("'it''s'"), text("it's"));
        assert_eq!(kinds(r#""it's""#), text("it's"));
        assert_eq!(kinds(r"'a\'b\\\n\u{e9}'"), text("a'b\\\né"));
        assert_eq!(kinds("''"), text(""));
        assert_eq!(kinds("''''"), text("'"));
        assert_eq!(kinds("`unit price`"), vec![TokenKind::Quoted("unit price".to_owned())]);
        assert_eq!(kinds("b64'aGk='"), vec![TokenKind::Binary(b"hi".to_vec())]);
    }

    #[test]
    fn numbers_keep_their_spelling_and_spans_are_milliseconds() {
        let number = |text: &str| TokenKind::Number(text.to_owned());
        assert_eq!(kinds("1.50 2E+10 007"), vec![number("1.50"), number("2E+10"), number("007")]);
        assert_eq!(
            kinds("30d 500ms 2w"),
            vec![TokenKind::Span(2_592_000_000), TokenKind::Span(500), TokenKind::Span(1_209_600_000)]
        );
        let index = [
            TokenKind::Word("a".to_owned()),
            TokenKind::Sign("["),
            number("0"),
            TokenKind::Sign("]"),
            TokenKind::Sign("."),
        ];
        assert_eq!(kinds("a[0].b").get(..5), Some(index.as_slice()));
        assert_eq!(kinds("n-1").len(), 3);
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_place() {
        assert_eq!(problem("a = 'x").0, 5);
        assert_eq!(
            problem("äö = 5x"),
            (6, "5x is neither a number nor a span of time, such as 30d".to_owned())
        );
        assert_eq!(problem("a ; b").0, 3);
        assert_eq!(problem("a == b"), (3, "equality is written with one =".to_owned()));
        assert_eq!(problem(r"'\q'").0, 2);
        assert_eq!(problem("b64'***'").0, 4);
        assert_eq!(problem("1e200"), (1, "\"1e200\" is not between 1e-130 and 1e126".to_owned()));
    }
}
